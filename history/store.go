package history

import (
	"context"
	"errors"
	"time"

	"scada/acquisition/tag"
)

var errBuilding = errors.New("not built yet")

type walFile interface{ Close() error }

func openWalFile(string) (walFile, error) { return nil, errBuilding }
func freeSpace(string) (uint64, error)    { return 0, errBuilding }

// Store is one node's archive. All methods may be called from any goroutine.
type Store struct{}

// Open opens the archive in dir, creating it when it is not there, and replays the journal. A folder another process
// has open is refused with ErrInUse. Until Close a few goroutines write in the background.
func Open(dir string, o Options) (*Store, error) { return nil, errBuilding }

// SetTags replaces the tags Append and the queries know. Samples are kept by name: a tag that leaves the configuration
// can still be read.
func (s *Store) SetTags(defs []tag.Definition) error { return errBuilding }

// Append records a batch in the order given and returns its position. It never waits for the disk.
// NaN and infinities become bad samples without a value.
func (s *Store) Append(batch []tag.Update) (pos uint64) { return 0 }

// MarkGap records that samples of the scope are missing from from (included) to to; it travels with the journal like a sample.
func (s *Store) MarkGap(scope Scope, from, to int64, reason string) (pos uint64) { return 0 }

// Durable returns the position up to which everything is on disk.
func (s *Store) Durable() uint64 { return 0 }

// WaitDurable waits until everything up to pos is on disk.
func (s *Store) WaitDurable(ctx context.Context, pos uint64) error { return errBuilding }

// Sync brings everything appended so far to disk.
func (s *Store) Sync(ctx context.Context) error { return errBuilding }

// Raw returns the samples of a tag with from <= time < to, oldest first, at most limit (0 means MaxRaw). When there
// are more, call again with Page.Next.
func (s *Store) Raw(ctx context.Context, name string, from, to int64, limit int, at Cursor) (Page, error) {
	return Page{}, errBuilding
}

// Before returns the last sample of a tag at or before t, looking back no further than lookback.
func (s *Store) Before(ctx context.Context, name string, t int64, lookback time.Duration) (tag.Sample, bool, error) {
	return tag.Sample{}, false, errBuilding
}

// Aggregate computes one value per step between from and to.
func (s *Store) Aggregate(ctx context.Context, name string, from, to int64, step time.Duration, kind Kind) ([]Point, error) {
	return nil, errBuilding
}

// Decimate returns the samples that draw the same line as all samples would on a chart buckets pixels wide: of each
// bucket the first, the last, the smallest, the largest, and the first that is not good.
func (s *Store) Decimate(ctx context.Context, name string, from, to int64, buckets int) (Page, error) {
	return Page{}, errBuilding
}

// Gaps returns the gap markers of a scope that touch the range.
func (s *Store) Gaps(scope Scope, from, to int64) []Gap { return nil }

// LastRecorded returns the time of the newest sample recorded for an area, 0 if there is none: after a start, the time
// from there on is a gap.
func (s *Store) LastRecorded(area string) int64 { return 0 }

// Digest returns the digest of the samples of the named tags (none means all) with from <= time < to.
func (s *Store) Digest(ctx context.Context, names []string, from, to int64) (Digest, error) {
	return Digest{}, errBuilding
}

// Windows returns the digests of the windows that touch the range and hold samples, oldest first.
func (s *Store) Windows(ctx context.Context, from, to int64) ([]WindowDigest, error) {
	return nil, errBuilding
}

// Export returns the samples of one window as bytes for Import on the peer, tags in order of name beginning after the
// named one. An empty next means it was the last piece.
func (s *Store) Export(ctx context.Context, window time.Time, after string) (data []byte, next string, err error) {
	return nil, "", errBuilding
}

// Import adds the samples of exported bytes that are not in the archive yet and returns how many those were. It is
// durable when it returns, and repeating it changes nothing.
func (s *Store) Import(ctx context.Context, data []byte) (added int, err error) {
	return 0, errBuilding
}

// Verify re-reads every block between from and to and returns those that are damaged.
func (s *Store) Verify(ctx context.Context, from, to int64) ([]Damage, error) {
	return nil, errBuilding
}

// Stats returns counters and sizes.
func (s *Store) Stats() Stats { return Stats{} }

// Health returns nil while samples are being recorded and are getting to disk, else what is wrong.
func (s *Store) Health() error { return errBuilding }

// Close brings everything to disk and closes the archive.
func (s *Store) Close() error { return errBuilding }
