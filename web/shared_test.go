package web

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

// TestSharedFrames: sockets that show the whole plant get the same bytes under their own ids and numbers, whatever each has read before.
func TestSharedFrames(t *testing.T) {
	tags := make([]tag.Definition, 2*shareFrom)
	for i := range tags {
		tags[i] = float(fmt.Sprintf("t%03d", i))
	}
	f := newFake("a", tags...)
	bubble(t, f, func(r *rig) {
		change := func(n int, v float64) {
			batch := make([]tag.Update, n)
			for i := range batch {
				batch[i] = tag.Update{Tag: tag.ID(i), Sample: tag.Sample{Time: time.Now().UnixNano(), Value: tag.Float64(v)}}
			}
			f.plant.Live.Apply(batch)
			synctest.Wait()
		}
		change(len(tags), 1)
		frame := func(s *sock, sub uint16, number uint32, kind byte, n int, v float64) {
			t.Helper()
			d := s.wantFrame()
			if d.sub != sub || d.number != number || d.kind != kind || len(d.values) != n || d.values[n-1] != v {
				t.Fatalf("sub %d number %d kind %d, %d values, the last %v; want sub %d number %d kind %d, %d values of %v", d.sub, d.number, d.kind, len(d.values), d.values[len(d.values)-1], sub, number, kind, n, v)
			}
			s.send(fmt.Sprintf(`{"t":"ack","frame":%d}`, number))
		}
		one, _ := r.hello("tok-viewer", "")
		defer one.close()
		two, _ := r.hello("tok-operator", "")
		defer two.close()
		one.send(`{"t":"sub","id":1,"glob":"**"}`)
		one.want("subd")
		frame(one, 1, 1, kindSnapshot, len(tags), 1)
		two.send(`{"t":"sub","id":9,"glob":"t0*"}`) // not the whole plant: numbers of its own
		two.want("subd")
		frame(two, 9, 1, kindSnapshot, 100, 1)
		two.send(`{"t":"unsub","id":9}`)
		two.send(`{"t":"sub","id":2,"glob":"**"}`)
		two.want("subd")
		frame(two, 2, 2, kindSnapshot, len(tags), 1)
		time.Sleep(time.Second)
		change(shareFrom, 2)
		frame(one, 1, 2, kindDelta, shareFrom, 2)
		frame(two, 2, 3, kindDelta, shareFrom, 2)
		time.Sleep(200 * time.Millisecond)
		change(shareFrom-1, 3) // too few to share
		frame(one, 1, 3, kindDelta, shareFrom-1, 3)
		frame(two, 2, 4, kindDelta, shareFrom-1, 3)
		late, _ := r.hello("tok-engineer", "")
		defer late.close()
		late.send(`{"t":"sub","id":3,"glob":"**"}`)
		late.want("subd")
		frame(late, 3, 1, kindSnapshot, len(tags), 3) // the newest change comes last
	})
}
