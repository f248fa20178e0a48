//go:build !linux

package modbus

import "errors"

// openSerial is for Linux only so far.
func openSerial(endpoint) (stream, error) {
	return nil, errors.New("serial lines are supported on Linux only")
}
