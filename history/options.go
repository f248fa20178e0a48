package history

import (
	"log/slog"
	"time"

	"scada/acquisition/tag"
)

// Limits of one archive. All are far above what a plant needs; they bound what a fault can cost.
const (
	// MaxTags is how many names an archive can know, over all revisions of the configuration.
	MaxTags = 1 << 20
	// MaxName is the longest tag or area name in bytes.
	MaxName = 1024
	// MaxAhead is how far in the future a sample may be. Beyond it the source's clock is wrong and the sample is refused.
	MaxAhead = 24 * time.Hour
	// MaxPending is how many bytes of journal may wait for a slow disk before samples are refused (and counted, and the
	// time is marked as a gap).
	MaxPending = 64 << 20
	// MaxRaw is the largest number of samples one Raw call returns.
	MaxRaw = 200_000
	// maxPageText is how many bytes of texts one answer holds.
	maxPageText = 4 << 20
	// MaxSpan is how much time one Raw call looks through, from the first day that has samples on.
	MaxSpan = 366 * 24 * time.Hour
	// MaxIntervals is the largest number of intervals one Aggregate or Decimate call computes.
	MaxIntervals = 100_000
	// MaxGaps is how many gap markers one answer holds.
	MaxGaps = 1000
	// MaxExport is the largest piece of a window one Export call returns, in bytes before the last tag: with that tag it
	// still fits one message of the link.
	MaxExport = 256 << 10
	// Window is the length of the absolute UTC windows the archive is cut into.
	Window = 600 * time.Second
)

// FullPolicy says what to do when the disk is nearly full or the archive has reached its size.
type FullPolicy int

// The policies.
const (
	// DropOldest removes the oldest day; recording goes on.
	DropOldest FullPolicy = iota
	// StopRecording keeps everything there is and refuses new samples.
	StopRecording
)

// Options configure [Open]. The zero value records without limits of age or size.
type Options struct {
	Tags      []tag.Definition // the tags of the present configuration; see SetTags
	Retention time.Duration    // days older than this are removed; 0 keeps everything
	Hourly    time.Duration    // how long hourly summaries are kept; 0 keeps everything
	MaxDisk   int64            // bytes the archive may use; 0 is no limit
	Reserve   uint64           // bytes to leave free on the disk; 0 means 256 MiB
	WhenFull  FullPolicy

	GroupCommit time.Duration // the journal is synced at least this often while samples come in; 0 means 100 ms
	GroupBytes  int           // or when this much is waiting; 0 means 256 KiB
	Grace       time.Duration // how long after a window's end its late samples are waited for; 0 means 20 s
	SealAfter   time.Duration // how long a day must be over, and not written to, before its file is sealed; 0 means 2 h, negative never
	MaxHead     int64         // bytes of samples kept in memory before windows are closed early; 0 means 512 MiB

	Logger    *slog.Logger                              // nil means slog.Default()
	Now       func() time.Time                          // nil means time.Now
	FreeSpace func(dir string) (free uint64, err error) // nil asks the operating system

	elapsed  func() time.Duration               // tests put a clock here nobody can set
	sealStep func(step string) error            // tests stop sealing here
	openFile func(path string) (walFile, error) // tests put a disk that loses unsynced bytes here
}

const (
	defaultGroupCommit = 100 * time.Millisecond
	defaultGroupBytes  = 256 << 10
	defaultGrace       = 20 * time.Second
	defaultSealAfter   = 2 * time.Hour
	defaultMaxHead     = 512 << 20
	defaultReserve     = 256 << 20
)

func (o Options) withDefaults() Options {
	if o.GroupCommit <= 0 {
		o.GroupCommit = defaultGroupCommit
	}
	if o.GroupBytes <= 0 {
		o.GroupBytes = defaultGroupBytes
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.SealAfter == 0 {
		o.SealAfter = defaultSealAfter
	}
	if o.MaxHead <= 0 {
		o.MaxHead = defaultMaxHead
	}
	if o.Reserve == 0 {
		o.Reserve = defaultReserve
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
		began := time.Now()
		o.elapsed = func() time.Duration { return time.Since(began) }
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.openFile == nil {
		o.openFile = openWalFile
	}
	return o
}
