//go:build !linux

package resource

import "context"

// Start implements [Resource].
func (v *VirtualIP) Start(context.Context) error { return ErrUnsupported }

// Stop implements [Resource].
func (v *VirtualIP) Stop(context.Context) error { return nil }

// Monitor implements [Resource].
func (v *VirtualIP) Monitor(context.Context) error { return ErrUnsupported }

// Clean implements [Cleaner].
func (v *VirtualIP) Clean(context.Context) (bool, error) { return false, nil }
