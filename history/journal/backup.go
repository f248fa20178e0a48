package journal

import (
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// Backup writes a consistent copy of the journal to a file. Entries may come meanwhile.
func (j *Journal) Backup(f *os.File) (size int64, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		size, err = tx.WriteTo(f)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("copying the journal: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("copying the journal: %w", err)
	}
	return size, nil
}
