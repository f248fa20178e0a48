package export

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"scada/acquisition/tag"
)

// Limits of one target.
const (
	MaxTargets   = 8                // of a plant
	MaxBatch     = 50_000           // samples of one request
	MaxHorizon   = 10 * time.Minute // the longest horizon
	MaxTimeout   = 5 * time.Minute  // the longest wait for an answer
	MaxInterval  = time.Minute      // the longest time between two looks for new samples
	MaxLabels    = 30               // labels of one's own
	MaxHeaders   = 16               // headers of one's own
	MaxLabelText = 512              // bytes of a label's name or value, and of a header's
	// MaxValue is the largest value that is sent. One that is larger by far than its neighbours costs them their digits in
	// engines that store decimals with a common exponent, and is nearly always a device's way to say "none".
	MaxValue = 1e15
)

// Window is the length of the windows of the archive.
const Window = 600 * time.Second

// Metric is the name of all samples that are exported.
const Metric = "scada_value"

// The labels every sample has.
const (
	labelName    = "__name__"
	labelProject = "project"
	labelTag     = "tag"
)

// Config is one engine, and what it is sent. Plain values: two that are equal work alike.
type Config struct {
	Name     string
	URL      string
	Headers  map[string]string
	Bearer   string
	User     string
	Password string
	CA       string            // certificates in PEM; "" means those of the system
	Tags     []string          // names with *, ** and ?; none means all
	Labels   map[string]string // beside project and tag
	Batch    int               // samples of one request; 0 means 10,000
	Horizon  time.Duration     // how long what was sent may still be lost by the engine; negative means not at all, 0 a minute
	Interval time.Duration     // between two looks for new samples; 0 means 5 s
	Timeout  time.Duration     // of one request; 0 means 30 s
}

const (
	defaultBatch    = 10_000
	defaultHorizon  = time.Minute
	defaultInterval = 5 * time.Second
	defaultTimeout  = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Batch <= 0 {
		c.Batch = defaultBatch
	}
	c.Batch = min(c.Batch, MaxBatch)
	if c.Horizon == 0 {
		c.Horizon = defaultHorizon
	}
	c.Horizon = max(c.Horizon, 0)
	if c.Interval <= 0 {
		c.Interval = defaultInterval
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

var labelForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// CheckLabel says why a label can't be given to samples, or nothing.
func CheckLabel(name, value string) error {
	switch {
	case !labelForm.MatchString(name) || strings.HasPrefix(name, "__"):
		return fmt.Errorf("%q is no name of a label (letters, digits and _; two _ at its begin are reserved)", name)
	case name == labelProject || name == labelTag:
		return fmt.Errorf("the label %q is there already", name)
	case value == "" || len(name) > MaxLabelText || len(value) > MaxLabelText:
		return fmt.Errorf("label %q: a name and a value have 1 to %d bytes", name, MaxLabelText)
	}
	return nil
}

// Archive is what samples are read from. All methods may be called while it is written to.
type Archive interface {
	// Windows returns the windows with from <= start < to that hold samples, oldest first.
	Windows(ctx context.Context, from, to int64) ([]WindowState, error)
	// Each calls visit with the samples of a tag with from <= time < to, in order of time, until it returns false.
	Each(ctx context.Context, tag string, from, to int64, visit func([]tag.Sample) (more bool, err error)) error
	// Latest is Each for samples that are hardly older than the present, and may leave some out: they are found when their
	// window is over.
	Latest(ctx context.Context, tag string, from, to int64, visit func([]tag.Sample) (more bool, err error)) error
	// Oldest returns the beginning of the first day that has samples; false without any.
	Oldest() (start int64, some bool)
}

// WindowState is what a window of the archive holds.
type WindowState struct {
	Start   int64 // UTC nanoseconds
	Samples uint64
	Digest  uint64 // of the samples as a set, never 0 when there are any
}

// Options is what a target needs beside its configuration.
type Options struct {
	Config
	Project string
	Version string           // of this program
	Tags    []tag.Definition // of the plant
	Archive Archive
	// Load returns what counts as sent; its content is not changed.
	Load func() State
	// Commit is told what counts from now on.
	Commit func(Step)
	// Tell is told what people should know.
	Tell func(Event)
	Dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real network
	Log  *slog.Logger
}

// Event is something people should know.
type Event struct {
	What string // ParkedEvent or MissedEvent
	Text string
}

// What happens to samples that do not get to the engine.
const (
	ParkedEvent = "history-export-parked"
	MissedEvent = "history-export-missed"
)

// chosen returns the tags that are exported, with their labels as they are sent.
func chosen(o *Options) []series {
	var out []series
	for _, d := range o.Tags {
		if !d.Type.IsNumeric() || d.History == tag.HistoryOff || len(o.Config.Tags) > 0 && !slices.ContainsFunc(o.Config.Tags, func(glob string) bool { return match(glob, d.Name) }) {
			continue
		}
		out = append(out, series{name: d.Name, labels: encodeLabels(o.Project, d.Name, o.Labels)})
	}
	return out
}

// match reports whether a name fits a pattern: * stands for any characters but the slash, ** for any, ? for one that is
// no slash.
func match(glob, name string) bool {
	// fits[j] says whether the pattern so far fits name[:j].
	fits := make([]bool, len(name)+1)
	fits[0] = true
	for i := 0; i < len(glob); i++ {
		deep := strings.HasPrefix(glob[i:], "**")
		next := make([]bool, len(name)+1)
		for j := range next {
			switch {
			case deep || glob[i] == '*':
				next[j] = fits[j] || j > 0 && next[j-1] && (deep || name[j-1] != '/')
			case j > 0:
				next[j] = fits[j-1] && (glob[i] == name[j-1] || glob[i] == '?' && name[j-1] != '/')
			}
		}
		if fits = next; deep {
			i++
		}
	}
	return fits[len(name)]
}
