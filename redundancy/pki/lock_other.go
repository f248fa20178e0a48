//go:build !unix

package pki

import "os"

// flock does nothing here: nobody may pair or renew beside a running node at the same moment.
func flock(*os.File) error { return nil }
