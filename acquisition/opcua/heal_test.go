package opcua

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uasc"

	"scada/acquisition/tag"
)

// historian is the history of the shared server: a function from a request to its answers.
type historian func(req *ua.HistoryReadRequest, raw *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode)

var history atomic.Pointer[historian]

// readHistory answers HistoryRead on the shared server, which knows nothing of it.
func readHistory(_ *uasc.SecureChannel, r ua.Request, id uint32) (ua.Response, error) {
	req, ok := r.(*ua.HistoryReadRequest)
	if !ok {
		return nil, ua.StatusBadRequestTypeInvalid
	}
	head := &ua.ResponseHeader{Timestamp: time.Now(), RequestHandle: req.RequestHeader.RequestHandle, ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil)}
	status := ua.StatusBadServiceUnsupported
	var results []*ua.HistoryReadResult
	if f := history.Load(); f != nil {
		raw, _ := req.HistoryReadDetails.Value.(*ua.ReadRawModifiedDetails)
		results, status = (*f)(req, raw)
	}
	if head.ServiceResult = status; status != ua.StatusOK {
		return &ua.ServiceFault{ResponseHeader: head}, nil
	}
	return &ua.HistoryReadResponse{ResponseHeader: head, Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}, nil
}

// memory is a [Past] in memory.
type memory struct {
	known time.Time
	mu    sync.Mutex
	got   map[tag.ID][]tag.Sample
	fail  error
	done  chan Recovery
}

func (m *memory) Known() time.Time { return m.known }

func (m *memory) Recover(_ context.Context, samples []tag.Update) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return 0, err
	}
	for _, u := range samples {
		m.got[u.Tag] = append(m.got[u.Tag], u.Sample)
	}
	return len(samples), nil
}

func (m *memory) Recovered(r Recovery) { m.done <- r }

// healing runs a source whose device has been recording for a while, and returns what was recovered.
func healing(t *testing.T, f historian, change func(*memory)) (*rig, *memory) {
	t.Helper()
	m := &memory{known: time.Now().Add(-90 * time.Minute), got: map[tag.ID][]tag.Sample{}, done: make(chan Recovery, 10)}
	if change != nil {
		change(m)
	}
	history.Store(&f)
	t.Cleanup(func() { history.Store(nil) })
	r := newRig(t, func(d *Device, o *Options) {
		d.History, o.Past, d.Timeout = Heal, m, DefaultTimeout
		d.Tags = d.Tags[:3]
	})
	r.source.pace = pace{10 * time.Millisecond, time.Millisecond, 20 * time.Millisecond}
	r.run()
	return r, m
}

func (m *memory) wait(t *testing.T) Recovery {
	t.Helper()
	select {
	case r := <-m.done:
		return r
	case <-time.After(patience):
		t.Fatal("nothing was recovered")
		return Recovery{}
	}
}

func values(t *testing.T, v any, times ...time.Time) *ua.HistoryReadResult {
	t.Helper()
	data := &ua.HistoryData{}
	for _, at := range times {
		data.DataValues = append(data.DataValues, &ua.DataValue{EncodingMask: ua.DataValueValue | ua.DataValueSourceTimestamp, Value: ua.MustVariant(v), SourceTimestamp: at})
	}
	return &ua.HistoryReadResult{HistoryData: ua.NewExtensionObject(data)}
}

// TestHistoryIsRecovered: pages of a gap longer than a slice come in order, the newest slice first; a tag without a record
// is told, what lies outside the gap is left out, and nothing of it reaches the live values.
func TestHistoryIsRecovered(t *testing.T) {
	const pages = 3
	var mu sync.Mutex
	var slicesAsked []time.Time
	r, m := healing(t, func(req *ua.HistoryReadRequest, raw *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(slicesAsked, raw.StartTime.Equal) {
			slicesAsked = append(slicesAsked, raw.StartTime)
		}
		var out []*ua.HistoryReadResult
		for _, n := range req.NodesToRead {
			page := 0
			if len(n.ContinuationPoint) > 0 {
				page = int(binary.LittleEndian.Uint16(n.ContinuationPoint))
			}
			switch n.NodeID.StringID() {
			case "on":
				out = append(out, &ua.HistoryReadResult{StatusCode: ua.StatusBadHistoryOperationUnsupported})
				continue
			case "count":
				out = append(out, &ua.HistoryReadResult{StatusCode: ua.StatusGoodNoData})
				continue
			}
			at := raw.StartTime.Add(time.Duration(page+1) * time.Minute)
			res := values(t, 77.5, at, at.Add(time.Second), raw.StartTime.Add(-time.Hour))
			if page+1 < pages {
				res.ContinuationPoint = binary.LittleEndian.AppendUint16(nil, uint16(page+1))
			}
			out = append(out, res)
		}
		return out, ua.StatusOK
	}, func(m *memory) { m.fail = errors.New("the disk is full") }) // once: it is tried again
	done := m.wait(t)
	if done.Without != 1 || !done.From.Before(m.known) {
		t.Errorf("%+v", done)
	}
	m.mu.Lock()
	got := m.got[0]
	if len(got) != 2*2*pages || len(m.got[1])+len(m.got[2]) != 0 {
		t.Errorf("recovered %d samples of speed, %d of others: %v", len(got), len(m.got[1])+len(m.got[2]), got)
	}
	for i, x := range got {
		if x.Value.Number() != 77.5 || x.Quality != tag.Good || i > 0 && i != 2*pages && x.Time <= got[i-1].Time {
			t.Errorf("sample %d: %v", i, x)
		}
	}
	m.mu.Unlock()
	mu.Lock()
	if len(slicesAsked) != 2 || !slicesAsked[0].After(slicesAsked[1]) {
		t.Errorf("slices %v", slicesAsked)
	}
	mu.Unlock()
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	if slices.ContainsFunc(r.sink.all, func(u tag.Update) bool { return u.Value.Number() == 77.5 }) {
		t.Error("a value of the past was published as a live one")
	}
}

// TestHistoryThatIsRefused: a server without history, one that gives the same page for ever, and one that takes few nodes.
func TestHistoryThatIsRefused(t *testing.T) {
	var asked atomic.Int32
	for name, c := range map[string]struct {
		f      historian
		healed bool
	}{
		"none": {func(*ua.HistoryReadRequest, *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
			return nil, ua.StatusBadHistoryOperationUnsupported
		}, false},
		"the same page": {func(req *ua.HistoryReadRequest, raw *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
			var out []*ua.HistoryReadResult
			for range req.NodesToRead {
				res := values(t, 1.0, raw.StartTime.Add(time.Second))
				res.ContinuationPoint = []byte{1}
				out = append(out, res)
			}
			return out, ua.StatusOK
		}, false},
		"too few results": {func(*ua.HistoryReadRequest, *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
			return nil, ua.StatusOK
		}, false},
		"one node at a time": {func(req *ua.HistoryReadRequest, raw *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
			if len(req.NodesToRead) > 1 {
				return nil, ua.StatusBadTooManyOperations
			}
			return []*ua.HistoryReadResult{values(t, 1.0, raw.StartTime.Add(time.Second))}, ua.StatusOK
		}, true},
	} {
		asked.Store(0)
		r, m := healing(t, func(req *ua.HistoryReadRequest, raw *ua.ReadRawModifiedDetails) ([]*ua.HistoryReadResult, ua.StatusCode) {
			asked.Add(1)
			return c.f(req, raw)
		}, nil)
		if c.healed {
			m.wait(t)
		} else {
			r.sink.wait(t, 0, "asked", func(tag.Sample) bool { defer r.sink.signal(); time.Sleep(time.Millisecond); return asked.Load() > 0 })
		}
		r.set("speed", 12.25) // the values go on all the same
		r.sink.waitNumber(t, 0, 12.25)
		if n := r.source.Status()[0].Counters.Reconnects; n > 0 {
			t.Errorf("%s: %d reconnections", name, n)
		}
		r.stop()
		if n := asked.Load(); !c.healed && n > 2 {
			t.Errorf("%s: it was asked %d times", name, n)
		}
	}
}

// TestAnInterruptedHealingIsTakenUp: a run that ended before its gap was filled leaves it to the next one, however little
// the record then lacks.
func TestAnInterruptedHealingIsTakenUp(t *testing.T) {
	s, _ := overlapRig(t)
	now := time.Now()
	m := &memory{known: now.Add(-time.Hour)}
	s.device.History, s.o.Past = Heal, m
	s.blindSince()
	m.known = now // what this run has acquired before it ended
	s.blindSince()
	s.blindUntil(now.Add(time.Minute))
	if len(s.gaps) != 1 || s.gaps[0].from.After(now.Add(-time.Hour)) {
		t.Errorf("gaps %v", s.gaps)
	}
	s.blindSince()
	if !s.blind.Equal(now) || len(s.gaps) != 1 {
		t.Errorf("after it: blind since %v, gaps %v", s.blind, s.gaps)
	}
}

// TestGapsAreBounded: gaps that wait become one, and none is longer than the limit.
func TestGapsAreBounded(t *testing.T) {
	s, _ := overlapRig(t)
	now := time.Now()
	for i := range maxGaps + 1 {
		s.blind = now.Add(time.Duration(i) * time.Minute)
		s.blindUntil(s.blind.Add(time.Second))
	}
	if len(s.gaps) != 1 || !s.gaps[0].from.Before(now) {
		t.Errorf("%d gaps: %v", len(s.gaps), s.gaps[0])
	}
	s.gaps, s.blind = nil, now.Add(-2*healLimit)
	s.blindUntil(now)
	if length := now.Sub(s.gaps[0].from); length > healLimit+time.Minute {
		t.Errorf("a gap of %v", length)
	}
}
