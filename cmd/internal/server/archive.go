package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition/tag"
	"scada/history"
	"scada/history/journal"
	"scada/web"
	"scada/web/api"
)

// archive is the history as people change and verify it. It implements [web.Archive].
type archive struct{ *Server }

// maxWrong is how many wrong samples one answer names.
const maxWrong = 100

// Import implements [web.Archive].
func (s archive) Import(ctx context.Context, by web.Actor, req api.ImportRequest) (api.ImportResult, error) {
	out := api.ImportResult{Samples: len(req.Samples)}
	byTag := map[string][]tag.Sample{}
	from, to := int64(1<<62), int64(0)
	for i, row := range req.Samples {
		x, err := s.readRow(row)
		if err == nil {
			err = s.store.Enterable(x)
		}
		if err != nil {
			out.Wrong = append(out.Wrong, api.WrongSample{Sample: i, Reason: err.Error()})
			if len(out.Wrong) >= maxWrong {
				break
			}
			continue
		}
		if s.marksGap(row.Name, x) {
			continue
		}
		byTag[row.Name] = append(byTag[row.Name], x)
		from, to = min(from, x.Time), max(to, x.Time+1)
	}
	if len(out.Wrong) > 0 || req.Check || len(byTag) == 0 {
		return out, nil
	}
	var what []history.Entered
	for name, samples := range byTag {
		what = append(what, history.Entered{Tag: name, Samples: samples})
	}
	var err error
	out.Added, err = s.store.Enter(ctx, what)
	if out.Added > 0 { // some days may be there although another failed
		text := fmt.Sprintf("%d samples of %d tags, %s to %s", out.Added, len(byTag), instantText(from), instantText(to-1))
		s.areas[s.areaNames[0]].record(s.newEntry(journal.ClassConfig, "history imported", "", s.nodeName, by.User, text))
		s.exchange(from, to)
	}
	return out, err
}

func instantText(t int64) string { return time.Unix(0, t).UTC().Format(time.RFC3339) }

// readRow makes a sample of a row as the API and the exports write it.
func (s archive) readRow(row api.TagChange) (tag.Sample, error) {
	def, ok := s.now().definition(row.Name)
	if !ok {
		return tag.Sample{}, fmt.Errorf("no tag %q", row.Name)
	}
	if row.Time == nil {
		return tag.Sample{}, errors.New("it has no time")
	}
	if at := row.Time.Unix(); at < 0 || at > 1<<32 {
		return tag.Sample{}, history.ErrNoTime
	}
	x := tag.Sample{Time: row.Time.UnixNano()}
	var err error
	if x.Quality, err = readQuality(row.Quality); err != nil {
		return tag.Sample{}, err
	}
	if row.Value == "" && x.Quality.IsBad() { // a file of text has no other way to say that there is none
		row.Value = nil
	}
	x.Value, err = readValue(def.Type, row.Value)
	if err == nil && x.Value.IsNone() && !x.Quality.IsBad() {
		err = errors.New("it has no value and is not Bad")
	}
	return x, err
}

// readValue reads a value of JSON, or of a file of text, where a value that is not there is nothing.
func readValue(t tag.Type, in any) (tag.Value, error) {
	switch v := in.(type) {
	case nil:
		return tag.Value{}, nil
	case string:
		if v == "" && t != tag.TypeString {
			return tag.Value{}, nil
		}
		return tag.Parse(t, v)
	case json.Number:
		if t == tag.TypeString {
			return tag.Value{}, fmt.Errorf("%s is not a text", v)
		}
		return tag.Parse(t, v.String())
	case bool:
		if t != tag.TypeBool {
			return tag.Value{}, fmt.Errorf("%v is not a %s", v, t)
		}
		return tag.Bool(v), nil
	}
	return tag.Value{}, errors.New("the value is no number, boolean or text")
}

// readQuality reads the name of a quality, or what [tag.Quality] writes for one without a name. None is Good.
func readQuality(text string) (tag.Quality, error) {
	if text == "" {
		return tag.Good, nil
	}
	if q, ok := tag.ParseQuality(text); ok {
		return q, nil
	}
	if _, hex, ok := strings.Cut(text, "_0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil && tag.Quality(n).String() == text {
			return tag.Quality(n), nil
		}
	}
	return 0, fmt.Errorf("no quality is named %q", text)
}

// Verify implements [web.Archive].
func (s archive) Verify(ctx context.Context, from, to time.Time, visit func(api.VerifiedDay) error) error {
	return s.store.Audit(ctx, from.UnixNano(), to.UnixNano(), func(a history.Audited) error {
		d := api.VerifiedDay{Day: a.Day.Format(time.DateOnly), Samples: a.Samples, Wrong: a.Wrong}
		for _, w := range a.Windows {
			d.Windows = append(d.Windows, api.VerifiedWindow{Window: w.Window, Samples: w.Samples, Digest: fmt.Sprintf("%016x%016x", w.Hash[0], w.Hash[1])})
		}
		for _, x := range a.Damaged {
			d.Damaged = append(d.Damaged, x.Error())
		}
		return visit(d)
	})
}

// Repair implements [web.Archive].
func (s archive) Repair(ctx context.Context, by web.Actor, req api.RepairRequest) (api.RepairResult, error) {
	from, to := req.From.UnixNano(), req.To.UnixNano()
	blocks, digests, err := s.store.Repair(ctx, from, to)
	out := api.RepairResult{Blocks: blocks, Digests: digests}
	if err != nil {
		return out, err
	}
	if blocks+digests > 0 {
		text := fmt.Sprintf("%d blocks set aside, %d digests counted anew, %s to %s", blocks, digests, instantText(from), instantText(to))
		s.areas[s.areaNames[0]].record(s.newEntry(journal.ClassConfig, "history repaired", "", s.nodeName, by.User, text))
	}
	s.exchange(from, to)
	return out, nil
}

// exchangeRecord is a stretch of the past in which the standby lacks something.
type exchangeRecord struct{ From, To int64 }

// exchange has the standby, this node or the other, compare a stretch of the past with the active and exchange what
// differs. Without a standby nothing happens: whoever returns compares everything.
func (s *Server) exchange(from, to int64) {
	for _, name := range s.areaNames {
		if s.areas[name].exchange(from, to) {
			return // an archive is one for all areas
		}
	}
}

func (a *area) exchange(from, to int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.active {
		a.want(from, to)
		return false // it may be no standby either
	}
	if n := a.publish(a.name, jsonRecord(kindExchange, exchangeRecord{from, to})); n > 0 {
		a.seq = n
		return true
	}
	return false
}

// stretch is a time that is asked for, as long as it has to be.
type stretch struct {
	news chan struct{}

	mu       sync.Mutex
	from, to int64
}

func newStretch() *stretch { return &stretch{news: make(chan struct{}, 1)} }

// keep adds a time without telling anybody.
func (w *stretch) keep(from, to int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from == w.to {
		w.from, w.to = from, to
	} else {
		w.from, w.to = min(w.from, from), max(w.to, to)
	}
}

func (w *stretch) add(from, to int64) {
	w.keep(from, to)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *stretch) take() (from, to int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, to, w.from, w.to = w.from, w.to, 0, 0
	return from, to
}

// exchangeTries is how often in a row an exchange is tried that somebody asked for.
const exchangeTries = 8

// exchangeWanted exchanges the stretch somebody asked for. The link or the roles may change in the middle of it: what
// could not be done then is done after the next healing, or with the next comparison of everything.
func (h *healer) exchangeWanted(ctx context.Context) {
	from, to := h.wanted.take()
	if from == to {
		return
	}
	for range exchangeTries {
		if h.s.areas[h.area].isActive() || h.exchangeNow(ctx, from, to) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(healRetry):
		}
	}
	h.wanted.keep(from, to)
}

// exchangeNow reports whether it has exchanged the stretch.
func (h *healer) exchangeNow(ctx context.Context, from, to int64) bool {
	if !h.s.isStandby(h.area) {
		return false
	}
	moved, err := h.history(ctx, from, to, new(atomic.Int64))
	if err != nil {
		return false
	}
	h.s.log.Info("What was brought into the history was exchanged", "area", h.area, "samples_copied", moved)
	return true
}
