package process

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"scada/acquisition/tag"
)

// Step is the time one step of the plant takes.
const Step = 50 * time.Millisecond

// maxCatchUp bounds the steps made at once after the process stood still; the rest of the time is lost to the plant.
const maxCatchUp = 10 * time.Minute

// maxChanges is how many changes of watched points are kept.
const maxChanges = 1 << 18

// The devices of the plant.
const (
	PLC1  = "plc1"
	PLC2  = "plc2"
	Well1 = "well1"
	Well2 = "well2"
	Well3 = "well3"
	Well4 = "well4"
	Mixer = "mixer"
)

var devices = [...]string{PLC1, PLC2, Well1, Well2, Well3, Well4, Mixer}

// Devices returns the names of the devices; the place of a name is the device's number in [ProofCounter].
func Devices() []string { return slices.Clone(devices[:]) }

// ErrUnknownPoint is the reason for a point that no device has.
var ErrUnknownPoint = errors.New("no such point")

// ErrReadOnly is the reason a point cannot be written.
var ErrReadOnly = errors.New("the point is read-only")

// Change is a watched point's new value as its device shows it.
type Change struct {
	Seq   uint64
	At    time.Duration // since the plant began
	Point string
	Old   tag.Value // engineering units
	New   tag.Value
}

// Plant is the waterworks. It is safe for concurrent use.
type Plant struct {
	mu      sync.Mutex
	world   *world
	points  []Point
	names   map[string]int
	forced  map[int]tag.Value
	held    map[string]map[int]tag.Value // by device: what its points showed when it froze
	watched []int
	seen    []tag.Value // what the watched points showed last, raw
	changes []Change    // a ring; the newest is number seq
	seq     uint64
	skipped time.Duration
	now     time.Duration // the latest time Advance was told
}

// New returns the plant at time zero.
func New(seed uint64) *Plant {
	w := &world{seed: seed, intake: newIntake(), treatment: newTreatment(), mixer: newMixer()}
	for i := range w.wells {
		w.wells[i] = newWell(i)
	}
	p := &Plant{world: w, names: map[string]int{}, forced: map[int]tag.Value{}, held: map[string]map[int]tag.Value{}}
	p.points = list(w)
	for i := range p.points {
		p.names[p.points[i].Name] = i
	}
	w.step()
	w.steps = 0
	for i := range w.proofs {
		w.proofs[i].step(w, i)
	}
	for i := range p.points {
		if p.points[i].Watched {
			p.watched = append(p.watched, i)
			p.seen = append(p.seen, p.raw(i))
		}
	}
	return p
}

// list lists the points of the whole plant, device by device.
func list(w *world) []Point {
	b := &builder{}
	w.intake.points(b)
	w.proofs[0].points(b)
	w.treatment.points(b)
	w.proofs[1].points(b)
	for i := range w.wells {
		w.wells[i].points(b, devices[2+i], i)
		w.proofs[2+i].points(b)
	}
	w.mixer.points(b)
	w.proofs[6].points(b)
	return b.points
}

// Advance makes the steps up to the given time since the plant began. Time does not go back.
func (p *Plant) Advance(since time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if behind := since - p.time(); behind > maxCatchUp {
		p.skipped += (behind - maxCatchUp).Truncate(Step)
	}
	for p.time()+Step <= since {
		p.world.step()
		p.note(p.time())
	}
	p.now = max(p.now, since)
}

// time returns the time of the last step.
func (p *Plant) time() time.Duration { return time.Duration(p.world.steps)*Step + p.skipped }

// note records which watched points show something else from the given time on.
func (p *Plant) note(at time.Duration) {
	for k, i := range p.watched {
		old, raw := p.seen[k], p.raw(i)
		if raw == old {
			continue
		}
		p.seen[k] = raw
		p.record(Change{At: at, Point: p.points[i].Name, Old: p.eu(i, old), New: p.eu(i, raw)})
	}
}

func (p *Plant) record(c Change) {
	p.seq++
	c.Seq = p.seq
	if len(p.changes) < maxChanges {
		p.changes = append(p.changes, c)
		return
	}
	p.changes[(p.seq-1)%maxChanges] = c
}

// Changes returns the changes after seq that are still kept, oldest first, at most limit of them (0 means all).
func (p *Plant) Changes(after uint64, limit int) []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := after + 1
	if p.seq > maxChanges {
		first = max(first, p.seq-maxChanges+1)
	}
	out := []Change{}
	for q := first; q <= p.seq && (limit == 0 || len(out) < limit); q++ {
		out = append(out, p.changes[(q-1)%maxChanges])
	}
	return out
}

// Elapsed returns the time of the plant.
func (p *Plant) Elapsed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.time()
}

// Points returns the points of every device. Their place is their index in the other methods.
func (p *Plant) Points() []Point { return slices.Clone(p.points) }

// Index returns the index of a point by its name.
func (p *Plant) Index(name string) (int, bool) {
	i, ok := p.names[name]
	return i, ok
}

// Value returns what the device shows for a point, in engineering units.
func (p *Plant) Value(i int) tag.Value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.eu(i, p.raw(i))
}

// Raw returns what the device shows for a point, as it stands in its registers.
func (p *Plant) Raw(i int) tag.Value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw(i)
}

// Raws appends what the device shows for several points, all at the same instant.
func (p *Plant) Raws(dst []tag.Value, indexes []int) []tag.Value {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range indexes {
		dst = append(dst, p.raw(i))
	}
	return dst
}

func (p *Plant) raw(i int) tag.Value {
	if held, ok := p.held[p.points[i].Device]; ok {
		return held[i]
	}
	return p.points[i].raw(p.value(i))
}

// value is the truth, or what was forced over it.
func (p *Plant) value(i int) tag.Value {
	if v, ok := p.forced[i]; ok {
		return v
	}
	return p.points[i].present()
}

// eu converts a raw value to engineering units, as a tag of the point would.
func (p *Plant) eu(i int, raw tag.Value) tag.Value {
	if p.points[i].Scale.IsZero() {
		return raw
	}
	return tag.Float64(p.points[i].Scale.Scale(raw.Number()))
}

// WriteRaws is a client's write of one or more points in the numbers of the device: all are stored, or none.
func (p *Plant) WriteRaws(indexes []int, raws []tag.Value) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, i := range indexes {
		if err := p.points[i].check(p.eu(i, raws[k])); err != nil {
			return err
		}
	}
	for k, i := range indexes {
		p.points[i].store(p.eu(i, raws[k]))
	}
	return nil
}

// Write is a client's write of one point in engineering units.
func (p *Plant) Write(i int, v tag.Value) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.points[i].check(v); err != nil {
		return err
	}
	p.points[i].store(v)
	return nil
}

// Force makes a point show a value whatever the plant does, until it is released.
func (p *Plant) Force(name string, v tag.Value) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.names[name]
	if !ok {
		return fmt.Errorf("%s: %w", name, ErrUnknownPoint)
	}
	if q := &p.points[i]; (q.Type == tag.TypeString) != (v.Type() == tag.TypeString) || v.IsNone() {
		return fmt.Errorf("%s: a %s cannot show a %s", name, q.Type, v.Type())
	} else if q.Type == tag.TypeBool {
		v = tag.Bool(v.Truth())
	}
	p.forced[i] = v
	p.note(p.now)
	return nil
}

// Release ends the forcing of a point; an empty name ends them all.
func (p *Plant) Release(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.note(p.now) }()
	if name == "" {
		clear(p.forced)
		return nil
	}
	i, ok := p.names[name]
	if !ok {
		return fmt.Errorf("%s: %w", name, ErrUnknownPoint)
	}
	delete(p.forced, i)
	return nil
}

// Forced returns the names of the points that are forced.
func (p *Plant) Forced() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := []string{}
	for i := range p.forced {
		names = append(names, p.points[i].Name)
	}
	slices.Sort(names)
	return names
}

// Hold makes every point of a device stand still, or lets them go.
func (p *Plant) Hold(device string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !on {
		delete(p.held, device)
		p.note(p.now)
		return
	}
	if p.held[device] != nil {
		return
	}
	values := map[int]tag.Value{}
	for i := range p.points {
		if p.points[i].Device == device {
			values[i] = p.points[i].raw(p.value(i))
		}
	}
	p.held[device] = values
}
