package history_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history"
)

// While windows move from memory to files, a reader sees every sample that was appended before it asked, each once.
func TestReadersMissNothingWhileWindowsClose(t *testing.T) {
	defs, c := plant(8), newClock()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now, GroupCommit: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var appended atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil && i < history.MaxRaw; i++ {
			s.Append([]tag.Update{{Sample: tag.Sample{Time: c.now().UnixNano(), Value: tag.Float64(float64(i))}}})
			c.add(time.Second)
			appended.Store(int64(i + 1))
			if i%50 == 49 {
				if err := s.Sync(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for i := 0; i < 150 || appended.Load() == 0; i++ { // readers may be quicker than the first sample
		least := appended.Load()
		p, err := s.Raw(ctx, defs[0].Name, 0, 1<<62, 0, history.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(p.Samples)) < least {
			t.Fatalf("%d samples, %d were appended before", len(p.Samples), least)
		}
		for i, x := range p.Samples {
			if x.Value.Number() != float64(i) {
				t.Fatalf("sample %d is %v", i, x.Value)
			}
		}
		_ = s.Stats()
	}
	stop()
	wg.Wait()
}
