//go:build !linux

package doctor

import "scada/web/api"

// Machine looks at what every system can tell.
func Machine(data string) []api.Check { return []api.Check{DiskWrite(data), Zone()} }
