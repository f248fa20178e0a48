package opcua

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"testing"
	"time"

	uacode "github.com/gopcua/opcua/ua"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/simulators/ua"
)

// TestRefusals: only an answer that means nothing was written is a refusal; after all others the value is read back.
func TestRefusals(t *testing.T) {
	for err, want := range map[error]bool{
		uacode.StatusBadUserAccessDenied: true, uacode.StatusBadNotWritable: true, uacode.StatusBadOutOfRange: true, uacode.StatusBadTooManyOperations: true,
		uacode.StatusBadTimeout: false, uacode.StatusBadRequestTimeout: false, uacode.StatusBadNoCommunication: false, uacode.StatusBadCommunicationError: false,
		uacode.StatusBadDecodingError: false, uacode.StatusBadSecurityChecksFailed: false, uacode.StatusBadSecureChannelClosed: false,
		io.EOF: false, fmt.Errorf("%w: %w", errHostile, uacode.StatusBadNotWritable): false,
	} {
		if got := isRefusal(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// stubborn is a process that does with writes what its mode says.
type stubborn struct {
	mode  *atomic.Int32 // 0 stores, 1 ignores, 2 refuses, 3 stores after a while
	value *atomic.Int64 // thousandths
}

func (s stubborn) Points() []tag.Definition {
	return []tag.Definition{{Name: "sp", Type: tag.TypeFloat32, RawType: tag.TypeFloat32, Writable: true}}
}

func (s stubborn) Values(dst []tag.Value) []tag.Value {
	return append(dst, tag.Float32(float32(s.value.Load())/1000))
}

func (s stubborn) Write(_ tag.ID, v tag.Value) error {
	store := func() { s.value.Store(int64(v.Number() * 1000)) }
	switch s.mode.Load() {
	case 0:
		store()
	case 2:
		return errors.New("not now")
	case 3:
		time.AfterFunc(150*time.Millisecond, store)
	}
	return nil
}

// TestWhatBecomesOfAWrite: the outcome is what the device did, not what it said.
func TestWhatBecomesOfAWrite(t *testing.T) {
	process := stubborn{new(atomic.Int32), new(atomic.Int64)}
	d, err := ua.New(ua.Options{Name: "skid", Address: "127.0.0.1:0"}, process)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Listen(); err != nil {
		t.Fatal(err)
	}
	s, err := New(Device{
		Name: "skid", Endpoint: "opc.tcp://" + d.Addr().String(), Timeout: 300 * time.Millisecond,
		Tags: []tag.Definition{{
			Name: "sp", Address: "ns=2;s=sp", Type: tag.TypeFloat64, RawType: tag.TypeFloat32, Scale: tag.Linear{RawHigh: 10, High: 100}, Writable: true, Range: tag.Range{High: 50},
			ScanPeriod: 100 * time.Millisecond,
		}},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := newSink()
	ctx, cancel := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)
	go func() { served <- d.Run(ctx) }()
	go func() { ran <- s.Run(ctx, got) }()
	t.Cleanup(func() { cancel(); <-ran; <-served })
	got.waitQuality(t, 0, tag.Good)
	got.waitSettled(t, 1)
	for _, x := range []struct {
		mode  int32
		value float64
		want  acquisition.Outcome
		reads float64
	}{{0, 12.5, acquisition.Confirmed, 12.5}, {1, 20, acquisition.Mismatch, 12.5}, {2, 20, acquisition.Rejected, 0}, {3, 30, acquisition.Confirmed, 30}} {
		process.mode.Store(x.mode)
		res := s.Write(ctx, acquisition.Write{Tag: 0, Value: tag.Float64(x.value)})
		if res.Outcome != x.want || x.reads != 0 && res.ReadBack.Value.Number() != x.reads || (res.Err == nil) != (x.want == acquisition.Confirmed) {
			t.Errorf("mode %d: %s %v, read back %v", x.mode, res.Outcome, res.Err, res.ReadBack.Value)
		}
	}
	process.mode.Store(0)
	for _, nonsense := range []tag.Value{tag.Float64(50.5), tag.Float64(-1), tag.Float64(math.NaN()), tag.Float64(math.Inf(1)), tag.String("1"), {}} {
		if res := s.Write(ctx, acquisition.Write{Tag: 0, Value: nonsense}); res.Outcome != acquisition.Refused || res.Err == nil {
			t.Errorf("%v: %s %v", nonsense, res.Outcome, res.Err)
		}
	}
	d.Hang(true)
	if res := s.Write(ctx, acquisition.Write{Tag: 0, Value: tag.Float64(40)}); res.Outcome != acquisition.Unknown {
		t.Errorf("hanging: %s %v", res.Outcome, res.Err)
	}
	d.Hang(false)
	if n := s.Status()[0].Counters.Writes; n != 5 {
		t.Errorf("%d writes sent, want 5", n)
	}
}
