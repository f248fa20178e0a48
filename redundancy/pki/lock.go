package pki

import (
	"fmt"
	"os"
)

// lockFile is what processes hold while they read, decide and write: the running node pins what its peer announces, and
// somebody may pair or renew beside it at the same moment.
const lockFile = ".lock"

// exclusive waits for the other processes that work on the files, reads what they have changed, and keeps them away until
// release is called. It is held for moments: nothing under it waits for the network.
func (l *Link) exclusive() (release func(), err error) {
	f, err := os.OpenFile(l.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = flock(f)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, fmt.Errorf("locking the link certificates: %w", err)
	}
	l.refresh()
	return func() { f.Close() }, nil // which unlocks it
}
