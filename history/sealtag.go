package history

import (
	"bytes"

	"scada/acquisition/tag"
	"scada/history/block"
)

// A sealed block ends with the hour when it has so many samples, with any window when it has more.
const (
	sealHour   = 1000
	sealAny    = 6000
	hourWindow = 6 // windows
)

// sealTag brings what a day holds of one tag into sealed blocks.
type sealTag struct {
	w      *sealer
	id     uint32
	layers [layerEnd][]tag.Sample
	d      block.Decoder
}

// read collects the samples of the tag, layer by layer.
func (t *sealTag) read(v dayView) {
	t.d = v.decoder()
	c := sealedCursor{c: cursor(v.sealed), id: t.id}
	first := t.w.f.number * dayWindows
	for c.seek(first); c.found; c.next() {
		var covered []int64
		for i := range c.count {
			covered = append(covered, c.first+i)
		}
		t.add(c.layer, sealedKey(t.id, c.first, c.count, c.layer), c.block, covered...)
	}
	if v.blocks == nil {
		return
	}
	plain := v.blocks.Cursor()
	for n := first; n < first+dayWindows; n++ {
		if _, ok := t.w.windows[n]; !ok {
			continue
		}
		prefix := blockKey(n, t.id, 0)
		for k, b := plain.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix[:8]); k, b = plain.Next() {
			if _, l, ok := splitKey(k); ok && l < layerEnd {
				t.add(l, k, b, n)
			}
		}
	}
}

func (t *sealTag) add(l Layer, key, b []byte, windows ...int64) {
	_, known := t.w.s.seedOf(t.id)
	have := t.layers[l]
	all, err := t.d.Decode(have, b)
	got := all[len(have):]
	switch {
	case err != nil || !known || windowOf(got[0].Time) < windows[0] || windowOf(got[len(got)-1].Time) > windows[len(windows)-1]:
		t.w.setAside(key, b, windows...)
	case len(have) > 0 && have[len(have)-1].Time >= got[0].Time:
		t.layers[l] = block.Union(have, got)
	default:
		t.layers[l] = all
	}
}

// blocks encodes the samples and counts them in the digests of their windows.
func (t *sealTag) blocks() (out []pair, err error) {
	r := t.w.s.tagOf(t.id)
	var all []tag.Sample
	for _, l := range t.layers {
		if len(all) == 0 {
			all = l
		} else if len(l) > 0 {
			all = block.Union(all, l)
		}
	}
	for i := 0; i < len(all); {
		first := windowOf(all[i].Time)
		end := t.end(all[i:]) + i
		last := windowOf(all[end-1].Time)
		for j := i; j < end; {
			w := windowOf(all[j].Time)
			d := t.w.found[w]
			for ; j < end && all[j].Time < (w+1)*windowNanos; j++ {
				d.add(r.seed, all[j])
			}
			t.w.found[w] = d
		}
		for l, samples := range t.layers {
			part := within(samples, first*windowNanos, (last+1)*windowNanos)
			if len(part) == 0 {
				continue
			}
			b, err := block.EncodeSmall(nil, part, r.scale(), t.w.share)
			if err != nil {
				return nil, err
			}
			out = append(out, pair{sealedKey(t.id, first, last-first+1, Layer(l)), b})
		}
		i = end
	}
	return out, nil
}

// end returns how many of the samples the next block covers: whole windows, at least one.
func (t *sealTag) end(samples []tag.Sample) int {
	end, text := 0, 0
	for i := 0; i < len(samples); {
		w := windowOf(samples[i].Time)
		j, more := i, 0
		for ; j < len(samples) && samples[j].Time < (w+1)*windowNanos; j++ {
			more += len(samples[j].Value.Text())
		}
		if end > 0 && (j > block.MaxSamples || text+more > block.MaxTextBytes) {
			return end // the window would not fit any more
		}
		i, end, text = j, j, text+more
		if end >= sealAny || end >= sealHour && i < len(samples) && windowOf(samples[i].Time)/hourWindow != w/hourWindow {
			return end
		}
	}
	return end
}
