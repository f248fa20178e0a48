//go:build !linux

package doctor

import (
	"errors"

	"scada/web/api"
)

// Machine looks at what every system can tell.
func Machine(data string) []api.Check { return []api.Check{DiskWrite(data), Zone()} }

// Free is not known here.
func Free(string) (uint64, error) { return 0, errors.ErrUnsupported }
