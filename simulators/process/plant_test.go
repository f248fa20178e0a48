package process

import (
	"fmt"
	"math"
	"testing"
	"time"

	"scada/acquisition/tag"
)

func number(t *testing.T, p *Plant, name string) float64 {
	t.Helper()
	i, ok := p.Index(name)
	if !ok {
		t.Fatalf("no point %s", name)
	}
	return p.Value(i).Number()
}

// TestSameSeedSameValues: the plant is a function of seed, time and writes, however the time is cut.
func TestSameSeedSameValues(t *testing.T) {
	a, b, other := New(7), New(7), New(8)
	a.Advance(60 * time.Second)
	for s := 0; s < 60_000; s += 777 {
		b.Advance(time.Duration(s) * time.Millisecond)
	}
	b.Advance(60 * time.Second)
	other.Advance(60 * time.Second)
	differ := 0
	for i, p := range a.Points() {
		if a.Raw(i) != b.Raw(i) {
			t.Errorf("%s is %v in one step and %v in many", p.Name, a.Raw(i), b.Raw(i))
		}
		if a.Raw(i) != other.Raw(i) {
			differ++
		}
	}
	if differ < 40 {
		t.Errorf("only %d points depend on the seed", differ)
	}
	if x, y := a.Changes(0, 0), b.Changes(0, 0); fmt.Sprint(x) != fmt.Sprint(y) || len(x) == 0 {
		t.Errorf("the journals differ: %d and %d changes", len(x), len(y))
	}
}

// TestFirstMinute: what a newcomer is promised to see by itself.
func TestFirstMinute(t *testing.T) {
	p := New(1)
	var crossed, cleared float64
	trips, doors, low := 0, 0, 0
	var trip, door, weak bool
	for s := 0.0; s < 240; s += 0.1 {
		p.Advance(time.Duration(s * 1e9))
		if l := number(t, p, "treatment/clear_tank/level"); l >= 85 && crossed == 0 {
			crossed = s
		} else if l < 83 && crossed > 0 && cleared == 0 {
			cleared = s
		}
		edge(&trip, number(t, p, "intake/pump2/trip") != 0, &trips)
		edge(&door, number(t, p, "wells/well2/door") != 0, &doors)
		edge(&weak, number(t, p, "treatment/chlorine/value") < 0.4, &low)
	}
	if crossed < 10 || crossed > 40 || cleared < crossed+5 || cleared > 200 {
		t.Errorf("the clear water tank passes 85 %% at %.1f s and is back at %.1f s", crossed, cleared)
	}
	if trips != 1 || doors < 5 || low != 1 {
		t.Errorf("%d pump trips, %d door openings, %d times low chlorine; want 1, 5 or more, 1", trips, doors, low)
	}
}

func edge(last *bool, now bool, count *int) {
	if now && !*last {
		*count++
	}
	*last = now
}

// TestItStaysCalm runs a quarter of an hour: every value stays in its range and the controlled ones near their set-points.
func TestItStaysCalm(t *testing.T) {
	p := New(3)
	points := p.Points()
	for m := 3; m <= 15; m++ {
		p.Advance(time.Duration(m) * time.Minute)
		for i, pt := range points {
			v := p.Value(i).Number()
			if pt.Type != tag.TypeString && (math.IsNaN(v) || math.IsInf(v, 0)) {
				t.Fatalf("%s is %v after %d min", pt.Name, v, m)
			}
			if pt.Type != tag.TypeBool && !pt.Range.IsZero() && (v < pt.Range.Low-1e-9 || v > pt.Range.High+1e-9) {
				t.Errorf("%s is %v after %d min, outside %v", pt.Name, v, m, pt.Range)
			}
		}
		for name, band := range map[string][2]float64{
			"treatment/clear_tank/level": {55, 90}, "intake/raw_tank_level/value": {50, 85}, "network/pressure/value": {3.5, 5},
		} {
			if v := number(t, p, name); v < band[0] || v > band[1] {
				t.Errorf("%s is %.2f after %d min, want %v", name, v, m, band)
			}
		}
	}
}

// TestControlFollowsWrites: a written set-point acts on the plant, as a pump, a valve and a loop do.
func TestControlFollowsWrites(t *testing.T) {
	p := New(1)
	write := func(name string, v tag.Value) {
		i, _ := p.Index(name)
		if err := p.Write(i, v); err != nil {
			t.Fatal(err)
		}
	}
	p.Advance(3 * time.Minute)
	write("network/pressure/setpoint", tag.Float64(3.6))
	write("intake/pump1/auto", tag.Bool(false))
	write("intake/pump1/speed_sp", tag.Float64(40))
	write("treatment/filter1/valve/position_sp", tag.Float64(0))
	p.Advance(3*time.Minute + 5*time.Second)
	if v := number(t, p, "treatment/filter1/valve/position"); v < 70 || v > 80 {
		t.Errorf("a valve that takes 20 s is at %.1f %% after 5 s of closing", v)
	}
	p.Advance(4 * time.Minute)
	for name, want := range map[string]float64{
		"network/pressure/value": 3.6, "intake/pump1/speed": 40, "treatment/filter1/valve/position": 0,
	} {
		if v := number(t, p, name); math.Abs(v-want) > 0.1 {
			t.Errorf("%s is %.2f a minute after it was set to %g", name, v, want)
		}
	}
	i, _ := p.Index("intake/river/level")
	if err := p.Write(i, tag.Float64(1)); err == nil {
		t.Error("a measurement could be written")
	}
	i, _ = p.Index("network/pressure/setpoint")
	for _, v := range []tag.Value{tag.Float64(10.1), tag.Float64(math.NaN()), tag.String("4")} {
		if err := p.Write(i, v); err == nil {
			t.Errorf("the pressure set-point took %v", v)
		}
	}
}

func TestProofCounterCountsAndVerifies(t *testing.T) {
	p := New(1)
	q := New(1)
	for _, tick := range []uint32{0, 1, 599, 1200} {
		q.Advance(time.Duration(tick) * 100 * time.Millisecond)
		for n, device := range Devices() {
			c, k := number(t, q, device2proof(device)+"/counter"), number(t, q, device2proof(device)+"/check")
			if uint32(c) != ProofCounter(n, tick) || uint32(k) != ProofCheck(uint32(c)) {
				t.Errorf("%s at tick %d: counter %v check %v", device, tick, c, k)
			}
		}
	}
	before := number(t, p, "plc1/proof/counter")
	p.Hold(PLC1, true)
	p.Advance(time.Second)
	if number(t, p, "plc1/proof/counter") != before || number(t, p, "plc2/proof/counter") != float64(ProofCounter(1, 10)) {
		t.Error("holding plc1 stops plc1 alone")
	}
	p.Hold(PLC1, false)
	if number(t, p, "plc1/proof/counter") != float64(ProofCounter(0, 10)) {
		t.Error("plc1 does not go on after it was held")
	}
}

func device2proof(device string) string { return device + "/proof" }

func TestForce(t *testing.T) {
	p := New(1)
	if err := p.Force("treatment/clear_tank/level", tag.Float64(93)); err != nil {
		t.Fatal(err)
	}
	p.Advance(time.Second)
	if v := number(t, p, "treatment/clear_tank/level"); math.Abs(v-93) > 0.01 {
		t.Errorf("forced to 93, shows %v", v)
	}
	last := Change{}
	for _, c := range p.Changes(0, 0) {
		if c.Point == "treatment/clear_tank/level" {
			last = c
		}
	}
	if math.Abs(last.New.Number()-93) > 0.01 || last.At != 0 {
		t.Errorf("the journal has %v at %v", last.New, last.At)
	}
	if err := p.Release("treatment/clear_tank/level"); err != nil || len(p.Forced()) != 0 {
		t.Errorf("released: %v, still forced %v", err, p.Forced())
	}
	if p.Force("nothing", tag.Bool(true)) == nil || p.Force("treatment/message", tag.Float64(1)) == nil {
		t.Error("an unknown point or a wrong type was accepted")
	}
}

func TestCatchUpIsBounded(t *testing.T) {
	p := New(1)
	p.Advance(100 * time.Hour)
	if p.world.steps > int64(maxCatchUp/Step)+1 {
		t.Errorf("%d steps made at once", p.world.steps)
	}
	if e := p.Elapsed(); e < 100*time.Hour-Step || e > 100*time.Hour {
		t.Errorf("the plant's time is %v", e)
	}
	before := p.world.steps
	p.Advance(100*time.Hour + time.Second)
	if n := p.world.steps - before; n < 19 || n > 20 {
		t.Errorf("%d steps in the next second", n)
	}
}

func TestPointsAreDistinct(t *testing.T) {
	names, places, perDevice := map[string]bool{}, map[string]string{}, map[string]int{}
	for _, p := range New(1).Points() {
		if names[p.Name] {
			t.Errorf("two points are named %s", p.Name)
		}
		names[p.Name] = true
		perDevice[p.Device]++
		for r := range max(p.Registers(), 1) {
			if p.Bit != NoBit {
				break
			}
			key := fmt.Sprint(p.Device, p.Space, int(p.Address)+r, p.Node)
			if other := places[key]; other != "" {
				t.Errorf("%s and %s share %s", p.Name, other, key)
			}
			places[key] = p.Name
		}
	}
	t.Log(len(names), perDevice)
	if len(names) < 190 || len(perDevice) != len(devices) {
		t.Errorf("%d points on %d devices", len(names), len(perDevice))
	}
}
