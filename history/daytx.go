package history

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
	"scada/history/block"
)

// dayTx is a write transaction on a day file.
type dayTx struct {
	blocks, windows, damaged *bbolt.Bucket
	sealed, sealedWindows    *bbolt.Bucket // of the sealed file; nil without one
	sealedTimes              *bbolt.Bucket
	file                     string // the sealed file
	seed                     func(id uint32) (seed uint64, known bool)

	d   block.Decoder
	e   block.Encoder
	out []byte // of e
}

func (t *dayTx) putInfo(w int64, i windowInfo) error {
	var v []byte
	for _, x := range [...]uint64{i.pos, i.digest.Samples, i.digest.Hash[0], i.digest.Hash[1]} {
		v = binary.BigEndian.AppendUint64(v, x)
	}
	return t.windows.Put(binary.BigEndian.AppendUint32(nil, uint32(w)), v)
}

func blockKey(w int64, id uint32, l Layer) []byte {
	k := make([]byte, 0, 9)
	k = binary.BigEndian.AppendUint32(k, uint32(w))
	k = binary.BigEndian.AppendUint32(k, id)
	return append(k, byte(l))
}

// flush writes a head window and returns how many of its samples were in the file already.
func (t *dayTx) flush(h *headWindow) (repeated uint64, err error) {
	info, known := t.info(h.number)
	parts := make([]*series, 0, len(h.parts))
	for r := range h.parts {
		parts = append(parts, r)
	}
	slices.SortFunc(parts, func(a, b *series) int { return int(int64(a.id) - int64(b.id)) })
	for _, r := range parts {
		c := t.d.Unpack(h.parts[r]).Ordered()
		var n int
		if known {
			n, err = t.merge(h.number, r, c.Samples(nil, minTime, maxTime), LayerLate, &info)
		} else {
			n, err = c.Len(), t.put(h.number, r, c, LayerOwn, &info)
		}
		if err != nil {
			return 0, fmt.Errorf("tag %q: %w", r.name, err)
		}
		repeated += uint64(h.parts[r].Len() - n)
	}
	info.pos = max(info.pos, h.pos)
	return repeated, t.finish(h.number, info)
}

// finish writes what is known of a window as a whole.
func (t *dayTx) finish(w int64, info windowInfo) error {
	if info.recount {
		info.digest = Digest{}
		if err := t.recount(w, &info.digest); err != nil {
			return err
		}
	}
	return t.putInfo(w, info)
}

// info returns what is known of a window in both files.
func (t *dayTx) info(w int64) (windowInfo, bool) {
	return dayView{windows: t.windows, sealedWindows: t.sealedWindows}.info(w)
}

// sealedSamples returns the samples of a window in the sealed file. What can't be read there is left out: sealing anew
// removes it.
func (t *dayTx) sealedSamples(w int64, id uint32) (out []tag.Sample, err error) {
	if t.sealed == nil {
		return nil, nil
	}
	err = guarded(t.file, func() error {
		d := decoderOf(t.sealedTimes)
		c := sealedCursor{c: t.sealed.Cursor(), id: id}
		for c.seek(w); c.found && c.first <= w; c.next() {
			if got, err := d.Decode(nil, c.block); err == nil {
				out = block.Union(out, within(got, w*windowNanos, (w+1)*windowNanos))
			}
		}
		return nil
	})
	return out, err
}

// recount computes the digest of a window from its blocks. One that can't be read counts nothing.
func (t *dayTx) recount(w int64, d *Digest) error {
	ids := map[uint32][]tag.Sample{}
	c := t.blocks.Cursor()
	prefix := binary.BigEndian.AppendUint32(nil, uint32(w))
	for k, b := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, b = c.Next() {
		if id, _, ok := splitKey(k); ok {
			if samples, err := block.Decode(nil, b); err == nil {
				ids[id] = block.Union(ids[id], samples)
			}
		}
	}
	if err := t.sealedTags(ids); err != nil {
		return err
	}
	for id, samples := range ids {
		more, err := t.sealedSamples(w, id)
		if err != nil {
			return err
		}
		if len(more) > 0 {
			samples = block.Union(more, samples)
		}
		if seed, known := t.seed(id); known {
			for _, x := range samples {
				d.add(seed, x)
			}
		}
	}
	return nil
}

// sealedTags adds the tags of the sealed file.
func (t *dayTx) sealedTags(ids map[uint32][]tag.Sample) error {
	if t.sealed == nil {
		return nil
	}
	return guarded(t.file, func() error {
		eachTag(t.sealed, func(id uint32) {
			if _, ok := ids[id]; !ok {
				ids[id] = nil
			}
		})
		return nil
	})
}

// splitKey returns the tag and the layer of a block's key.
func splitKey(k []byte) (id uint32, l Layer, ok bool) {
	if len(k) != 9 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(k[4:]), Layer(k[8]), true
}

const (
	minTime = -1 << 63
	maxTime = 1<<63 - 1
)

// put writes a block where there is none.
func (t *dayTx) put(w int64, r *series, c *block.Columns, l Layer, info *windowInfo) error {
	b, err := t.e.Encode(t.out[:0], c, r.scale())
	if err != nil {
		return err
	}
	t.out = b
	info.digest.addColumns(r.seed, c)
	return t.blocks.Put(blockKey(w, r.id, l), bytes.Clone(b))
}

// holds reports whether there is anything of a tag in a window, readable or not.
func (t *dayTx) holds(w int64, id uint32) (some bool, err error) {
	prefix := blockKey(w, id, 0)
	if k, _ := t.blocks.Cursor().Seek(prefix); bytes.HasPrefix(k, prefix[:8]) || t.sealed == nil {
		return bytes.HasPrefix(k, prefix[:8]), nil
	}
	err = guarded(t.file, func() error {
		c := sealedCursor{c: t.sealed.Cursor(), id: id}
		c.seek(w)
		some = c.found && c.first <= w
		return nil
	})
	return some, err
}

// merge adds those of the samples that are in no layer yet, to layer own if it is empty, else to the given one. A block
// that can't be read is set aside first. The window's digest follows.
func (t *dayTx) merge(w int64, r *series, samples []tag.Sample, l Layer, info *windowInfo) (added int, err error) {
	var mine []tag.Sample
	all, err := t.sealedSamples(w, r.id)
	if err != nil {
		return 0, err
	}
	for layer := range layerEnd {
		key := blockKey(w, r.id, layer)
		b := t.blocks.Get(key)
		if b == nil {
			if layer == LayerOwn && l == LayerLate && len(all) == 0 {
				l = LayerOwn
			}
			continue
		}
		got, err := block.Decode(nil, b)
		if err != nil {
			if err := t.setAside(key, b, info); err != nil {
				return 0, err
			}
			continue
		}
		if layer == l {
			mine = got
		}
		all = block.Union(all, got)
	}
	fresh := fitting(mine, block.Minus(block.Union(nil, samples), all))
	if len(fresh) == 0 {
		return 0, nil
	}
	b, err := t.e.EncodeSamples(nil, block.Insert(mine, fresh), r.scale())
	if err != nil {
		return 0, err
	}
	for _, x := range fresh {
		info.digest.add(r.seed, x)
	}
	return len(fresh), t.blocks.Put(blockKey(w, r.id, l), b)
}

// fitting returns as many of the fresh samples as fit into a block beside mine. Only a source gone mad sends so many.
func fitting(mine, fresh []tag.Sample) []tag.Sample {
	room, text := block.MaxSamples-len(mine), block.MaxTextBytes
	for _, x := range mine {
		text -= len(x.Value.Text())
	}
	for i, x := range fresh {
		room--
		if text -= len(x.Value.Text()); room < 0 || text < 0 {
			return fresh[:i]
		}
	}
	return fresh
}

// setAside moves a block that can't be read out of the way. Its samples are still counted in the window's digest, so
// that has to be counted anew.
func (t *dayTx) setAside(key, b []byte, info *windowInfo) error {
	if err := t.damaged.Put(key, slices.Clone(b)); err != nil {
		return fmt.Errorf("setting a damaged block aside: %w", err)
	}
	info.recount = true
	return t.blocks.Delete(key)
}
