package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"scada/acquisition/tag"
)

const (
	// lag is how old a sample is when it is sent: those of one moment come in one request, and few come later.
	lag = 2 * time.Second
	// settle is how long a window must be over before it is looked at as a whole: it is in its day file then.
	settle = 3 * time.Minute
	// surveyEvery is how often the last days are looked through for windows that are not sent, wholeEvery the rest.
	surveyEvery, wholeEvery = 10 * time.Second, 10 * time.Minute
	recent                  = 48 * time.Hour
	commitEvery             = time.Second // at most, something is told to count
	probeEvery              = 15 * time.Second
	// What closes idle connections waits for a second at least: a connection that is lost sooner was not closed for that.
	// leastIdle is half of it, and how often a connection is used at most so that it is not closed.
	leastIdle = 500 * time.Millisecond
	// mostLosses is how often in a row the connection may be lost, with nothing that comes to count, before it is a fault.
	mostLosses = 5
)

// Target sends to one engine.
type Target struct {
	o      Options
	series []series
	log    *slog.Logger

	mu sync.Mutex
	st Status
}

// Status is how a target is doing.
type Status struct {
	Sending    bool // here
	Tags       int
	AnsweredAt time.Time
	Failed     int // tries in a row
	FailedAt   time.Time
	Error      string
	Retry      time.Time
	Windows    int    // that are over and not sent
	Waiting    uint64 // samples in them, of all tags
	SentTo     time.Time
	Rewinds    uint64
}

// New returns a target. It connects to nobody before it runs.
func New(o Options) (*Target, error) {
	o.Config = o.Config.withDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t := &Target{o: o, series: chosen(&o), log: o.Log.With("target", o.Name)}
	t.st.Tags = len(t.series)
	if _, err := newClient(&o); err != nil {
		return nil, fmt.Errorf("export target %s: %w", o.Name, err)
	}
	return t, nil
}

// Status returns how it is doing.
func (t *Target) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.st
}

func (t *Target) status(f func(*Status)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.st)
}

// run is one time of sending.
type run struct {
	*Target
	client *client
	enc    encoder

	state      State // what was sent; what counts may be less
	fresh      Step  // of the piece that is being sent
	waiting    []waitingStep
	lastAnswer time.Time
	committed  time.Time
	use        time.Duration // how often the connection is to be used, since something closes it when it is not
	losses     int           // since something came to count

	due            []WindowState    // that are over and not sent, oldest first
	unsent         map[int64]uint64 // window -> samples, of those that are over
	surveyed, full time.Time
	sums           map[int64][]sum // window -> what was sent of it as it grew, by series
	points         []point
	batch          batch
}

// waitingStep is progress that counts when the engine is still the same a while later.
type waitingStep struct {
	step      Step
	began, at time.Time // of its first piece and of its last
}

// Run sends until ctx ends, and returns nil then.
func (t *Target) Run(ctx context.Context) error {
	c, err := newClient(&t.o)
	if err != nil {
		return err
	}
	defer c.close()
	r := &run{Target: t, client: c}
	r.rewind()
	t.status(func(s *Status) { s.Sending = true })
	defer t.status(func(s *Status) {
		*s = Status{Tags: s.Tags, Rewinds: s.Rewinds, AnsweredAt: s.AnsweredAt}
	})
	for wait := time.Duration(0); ; {
		err := r.rest(ctx, wait)
		began := time.Now()
		if err == nil {
			err = r.pass(ctx)
		}
		wait = max(t.o.Interval-time.Since(began), 0)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLost):
			r.lost()
			wait = leastIdle // not the interval: the new connection could be closed in it as well
		case err != nil:
			r.note(err, time.Now().Add(t.o.Interval))
		case len(r.due) > 0:
			wait = 0
		}
	}
}

// rest waits before the next pass, and meanwhile uses the connection.
func (r *run) rest(ctx context.Context, wait time.Duration) error {
	for wait > 0 {
		step := wait
		if r.unsure() {
			step = max(min(wait, r.patience()-time.Since(r.lastAnswer)), time.Millisecond)
		}
		if err := sleep(ctx, step); err != nil {
			return err
		}
		wait -= step
		if err := r.probe(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unsure reports whether something that was sent does not count yet.
func (r *run) unsure() bool { return len(r.waiting) > 0 && r.o.Horizon > 0 }

// patience is how long the connection may be idle while something on it does not count.
func (r *run) patience() time.Duration {
	most := min(probeEvery, r.o.Horizon/4)
	if r.use > 0 {
		most = min(most, r.use)
	}
	return most
}

// probe asks whether it is still the same engine, when it has been idle for long enough.
func (r *run) probe(ctx context.Context) error {
	if !r.unsure() || time.Since(r.lastAnswer) < r.patience() {
		return nil
	}
	_, err := r.request(ctx, &batch{})
	return err
}

// lost begins again with what does not count.
func (r *run) lost() {
	r.log.Warn("The connection to the engine was lost: what does not count yet is sent again", "steps", len(r.waiting), "from", time.Unix(0, r.o.Load().Time).UTC())
	r.status(func(s *Status) { s.Rewinds++ })
	if r.losses++; r.losses >= mostLosses {
		r.note(fmt.Errorf("the connection was lost %d times before what was sent on it could count (horizon %v): the engine restarts, or something in between closes connections", r.losses, r.o.Horizon), time.Now())
	}
	r.rewind()
}

// rewind forgets what does not count.
func (r *run) rewind() {
	r.state = r.o.Load().Clone()
	r.fresh, r.waiting, r.due, r.unsent = Step{}, nil, nil, map[int64]uint64{}
	r.surveyed, r.full = time.Time{}, time.Time{}
	r.sums = map[int64][]sum{}
	r.batch.reset()
}

// pass sends what there is.
func (r *run) pass(ctx context.Context) error {
	if time.Since(r.surveyed) >= surveyEvery {
		if err := r.survey(ctx); err != nil {
			return err
		}
	}
	for until := time.Now().Add(surveyEvery); len(r.due) > 0 && time.Now().Before(until); {
		if err := r.window(ctx, r.due[0]); err != nil {
			return err
		}
		r.mature()
	}
	if len(r.due) == 0 { // the oldest first: some engines insist
		if err := r.tail(ctx); err != nil {
			return err
		}
	}
	r.mature()
	if err := r.probe(ctx); err != nil {
		return err
	}
	r.mature()
	return nil
}

// over returns the beginning of the first window that is not over for long enough.
func over() int64 {
	return time.Now().Add(-settle).UnixNano() / windowNanos * windowNanos
}

// survey looks for windows that hold something else than what was sent, and for what is gone.
func (r *run) survey(ctx context.Context) error {
	oldest, some := r.o.Archive.Oldest()
	if !some {
		r.surveyed = time.Now()
		return nil
	}
	r.missed(oldest)
	to := over()
	from := max(oldest, to-int64(recent))
	whole := time.Since(r.full) >= wholeEvery
	if whole {
		from = oldest
	}
	list, err := r.o.Archive.Windows(ctx, from, to)
	if err != nil {
		return fmt.Errorf("looking for what is to be sent: %w", err)
	}
	for w := range r.unsent {
		if w*windowNanos >= from {
			delete(r.unsent, w)
		}
	}
	r.due = slices.DeleteFunc(r.due, func(w WindowState) bool { return w.Start >= from })
	for _, w := range list {
		if n := w.Start / windowNanos; r.state.done(n) != w.Digest {
			r.due = append(r.due, w)
			r.unsent[n] = w.Samples
		}
	}
	if r.surveyed = time.Now(); whole {
		r.full = r.surveyed
	}
	r.report()
	return nil
}

// missed notices windows that left the archive before they were sent.
func (r *run) missed(oldest int64) {
	n := uint64(0)
	for w, samples := range r.unsent {
		if w*windowNanos < oldest {
			n += samples
			delete(r.unsent, w)
		}
	}
	r.due = slices.DeleteFunc(r.due, func(w WindowState) bool { return w.Start < oldest })
	step := Step{Trim: oldest / windowNanos, Totals: Totals{Missed: n}}
	if n == 0 && (len(r.state.Done) == 0 || r.state.First >= step.Trim) {
		return
	}
	r.state.Apply(step)
	r.o.Commit(step) // nothing an engine does changes it
	if n > 0 {
		r.tell(MissedEvent, fmt.Sprintf("%d samples left the archive before %s before they were sent", n, time.Unix(0, oldest).UTC().Format(time.DateOnly)))
	}
}

// report brings the status up to date.
func (r *run) report() {
	total := uint64(0)
	for _, n := range r.unsent {
		total += n
	}
	sentTo := max(r.state.Time, over())
	if len(r.due) > 0 {
		sentTo = r.due[0].Start
	} else if r.state.Time > 0 {
		sentTo = r.state.Time
	}
	r.status(func(s *Status) { s.Windows, s.Waiting, s.SentTo = len(r.due), total, time.Unix(0, sentTo).UTC() })
}

// window sends what is missing of a window that is over, all of it unless it was sent as it grew.
func (r *run) window(ctx context.Context, w WindowState) error {
	n := w.Start / windowNanos
	if err := r.send(ctx, w.Start, w.Start+windowNanos, r.sums[n], nil); err != nil {
		return err
	}
	r.fresh.Done = append(r.fresh.Done, Mark{Window: n, Digest: w.Digest})
	r.piece()
	delete(r.sums, n)
	delete(r.unsent, n)
	r.due = slices.DeleteFunc(r.due, func(x WindowState) bool { return x.Start == w.Start })
	r.report()
	return nil
}

// tail sends what has come in windows that are not over for long.
func (r *run) tail(ctx context.Context) error {
	to := time.Now().Add(-lag).Truncate(time.Millisecond).UnixNano()
	for from := max(r.state.Time, over()); from < to; {
		n := from / windowNanos
		end := min(to, (n+1)*windowNanos)
		if r.sums[n] == nil {
			r.sums[n] = make([]sum, len(r.series))
		}
		if err := r.send(ctx, from, end, nil, r.sums[n]); err != nil {
			return err
		}
		r.fresh.Time = end
		r.piece()
		from = end
	}
	for n := range r.sums { // of windows without a sample
		if (n+2)*windowNanos < over() {
			delete(r.sums, n)
		}
	}
	r.report()
	return nil
}

// piece ends a piece that was sent.
func (r *run) piece() {
	r.state.Apply(r.fresh)
	if n := len(r.waiting); n > 0 && r.lastAnswer.Sub(r.waiting[n-1].began) < commitEvery {
		r.waiting[n-1].step.add(r.fresh)
		r.waiting[n-1].at = r.lastAnswer
	} else {
		r.waiting = append(r.waiting, waitingStep{r.fresh, r.lastAnswer, r.lastAnswer})
	}
	r.fresh = Step{}
}

// mature has what the engine took count, when it has been the same engine for the horizon.
func (r *run) mature() {
	if time.Since(r.committed) < commitEvery {
		return
	}
	n := 0
	var all Step
	for n < len(r.waiting) && !r.waiting[n].at.Add(r.o.Horizon).After(r.lastAnswer) {
		all.add(r.waiting[n].step)
		n++
	}
	if n > 0 {
		r.waiting = slices.Delete(r.waiting, 0, n)
		r.committed, r.losses = time.Now(), 0
		r.o.Commit(all)
	}
}

// send sends the samples of a stretch of time. What is known to be sent is left out; what is sent is added to grown.
func (r *run) send(ctx context.Context, from, to int64, known, grown []sum) error {
	r.batch.reset()
	for i := range r.series {
		look := r.o.Archive.Each
		if grown != nil && to-from <= 3*int64(r.o.Interval) { // else something was sent again, or held up: all of it is looked at
			look = r.o.Archive.Latest
		}
		points, refused, err := r.read(ctx, look, i, from, to)
		if err != nil {
			return err
		}
		var s sum
		if s.add(points); known != nil && known[i] == s {
			continue
		}
		r.fresh.Totals.Refused += refused
		if grown != nil {
			grown[i].add(points)
		}
		for len(points) > 0 {
			n := min(len(points), r.o.Batch-len(r.batch.points))
			at := len(r.batch.points)
			r.batch.points = append(r.batch.points, points[:n]...)
			r.batch.chunks = append(r.batch.chunks, chunk{i, at, at + n})
			r.batch.bytes += len(r.series[i].labels)
			points = points[n:]
			if len(r.batch.points) >= r.o.Batch || r.batch.bytes >= maxLabelBytes {
				if err := r.deliver(ctx, &r.batch); err != nil {
					return err
				}
			}
		}
	}
	return r.deliver(ctx, &r.batch)
}

// lookup reads samples: it is Each or Latest of an [Archive].
type lookup func(ctx context.Context, tag string, from, to int64, visit func([]tag.Sample) (more bool, err error)) error

// read returns the points of a tag; they are valid until the next call. Nothing of the archive is held meanwhile.
func (r *run) read(ctx context.Context, look lookup, i int, from, to int64) ([]point, uint64, error) {
	r.points = r.points[:0]
	refused := 0
	err := look(ctx, r.series[i].name, from, to, func(piece []tag.Sample) (bool, error) {
		var n int
		r.points, n = convert(r.points, 0, piece)
		refused += n
		return true, nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading tag %s: %w", r.series[i].name, err)
	}
	return r.points, uint64(refused), nil
}

// note remembers how it goes; the log tells of changes only.
func (r *run) note(err error, retry time.Time) {
	r.status(func(s *Status) {
		if err == nil {
			if s.Failed > 0 {
				r.log.Info("The engine takes samples again", "tries", s.Failed)
			}
			s.Failed, s.Error, s.FailedAt, s.Retry, s.AnsweredAt = 0, "", time.Time{}, time.Time{}, time.Now()
			return
		}
		if s.Failed == 0 {
			s.FailedAt = time.Now()
			r.log.Warn("The engine does not take samples", "error", err)
		}
		s.Failed = min(s.Failed+1, math.MaxInt32)
		s.Error, s.Retry = err.Error(), retry
	})
}

func (r *run) tell(what, text string) {
	r.log.Warn("Samples do not get to the engine", "event", what, "detail", text)
	if r.o.Tell != nil {
		r.o.Tell(Event{What: what, Text: text})
	}
}
