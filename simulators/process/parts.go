package process

// pump is a centrifugal pump behind a frequency converter.
type pump struct {
	auto, start, reset, running, trip bool
	setpoint, speed, current, power   float64
	flow, vibration, temperature      float64
	hours, starts, energy, status     float64

	maxFlow, rated float64 // m3/h at full speed; kW
	wasOn, wasHit  bool
}

func newPump(maxFlow, rated, speed float64) pump {
	return pump{auto: true, start: true, setpoint: speed, speed: speed, maxFlow: maxFlow, rated: rated, temperature: 48, wasOn: true}
}

// step runs the pump. demand is the speed automatic control asks for; hit is a fault that trips it when it begins, and
// that the attendant resets when it is over.
func (p *pump) step(w *world, on bool, demand float64, hit bool) {
	if hit && !p.wasHit {
		p.trip = true
	}
	if p.reset || (p.wasHit && !hit) {
		p.trip, p.reset = false, false
	}
	p.wasHit = hit
	if !p.auto {
		on, demand = p.start, p.setpoint
	}
	target, rate := 0.0, 12.0
	if on && !p.trip {
		target = demand
	} else if p.trip {
		rate = 40 // it coasts down
	}
	ramp(&p.speed, target, rate)
	p.running = p.speed > 3
	if p.running && !p.wasOn {
		p.starts++
	}
	p.wasOn = p.running
	p.measure(w)
}

func (p *pump) measure(w *world) {
	s := p.speed / 100
	p.flow = max(p.maxFlow*s*(1+0.006*w.noise()), 0)
	p.power = p.rated * s * s * s
	p.current = max(p.rated*1.9*(0.25*s+0.75*s*s)+0.3*w.noise()*s, 0)
	p.vibration = 0.15 + 2.1*s + 0.12*w.noise()
	lag(&p.temperature, 22+36*s, 120)
	if p.running {
		integrate(&p.hours, 1)
	}
	integrate(&p.energy, p.power)
	p.status = bits(p.running, p.auto, p.trip, !p.trip && !p.running, p.speed > 98)
}

func (p *pump) points(b *builder, name, what string) {
	b.part(name)
	b.command("auto", &p.auto, "manual", "auto", what+" automatic control")
	b.command("start", &p.start, "stop", "start", what+" start in manual")
	b.command("reset", &p.reset, "-", "reset", what+" trip reset")
	b.input("running", &p.running, "stopped", "running", what+" run feedback")
	b.input("trip", &p.trip, "ok", "trip", what+" tripped").watched()
	b.setpoint("speed_sp", &p.setpoint, "%", 0, 100, what+" speed set-point in manual")
	b.analog("speed", &p.speed, "%", 0, 100, what+" speed").fast()
	b.analog("current", &p.current, "A", 0, 200, what+" motor current").watched()
	b.analog("power", &p.power, "kW", 0, 100, what+" active power")
	b.analog("flow", &p.flow, "m3/h", 0, 600, what+" discharge flow").watched()
	b.float("vibration", &p.vibration, "mm/s", 0, 10, what+" bearing vibration").watched()
	b.analog("bearing_temperature", &p.temperature, "°C", 0, 150, what+" bearing temperature").watched()
	b.counter("hours", &p.hours, "h", what+" running hours")
	b.counter("starts", &p.starts, "", what+" number of starts")
	b.counter("energy", &p.energy, "kWh", what+" energy")
	b.word("status", &p.status, what+" status word", "", "", "", "ready")
}

// valve is a motorised valve that takes its time.
type valve struct {
	setpoint, position float64
	opened, closed     bool
	travel             float64 // seconds from closed to open
}

func newValve(position, travel float64) valve {
	return valve{setpoint: position, position: position, travel: travel}
}

func (v *valve) step() {
	ramp(&v.position, clamp(v.setpoint, 0, 100), 100/v.travel)
	v.opened, v.closed = v.position > 99, v.position < 1
}

func (v *valve) points(b *builder, name, what string) {
	b.part(name)
	b.setpoint("position_sp", &v.setpoint, "%", 0, 100, what+" position set-point").watched()
	b.analog("position", &v.position, "%", 0, 100, what+" position").watched()
}

// switches adds the limit switches to the valve's points.
func (v *valve) switches(b *builder, what string) {
	b.input("opened", &v.opened, "no", "yes", what+" limit switch open")
	b.input("closed", &v.closed, "no", "yes", what+" limit switch closed")
}

// loop is a PI controller with bumpless change between manual and automatic.
type loop struct {
	auto                                      bool
	setpoint, value, output, gain, reset, sum float64 // reset is the integral time in seconds
}

func newLoop(setpoint, gain, reset, output float64) loop {
	return loop{auto: true, setpoint: setpoint, value: setpoint, gain: gain, reset: reset, output: output, sum: output}
}

func (l *loop) step() {
	if !l.auto {
		l.sum = l.output
		return
	}
	e := l.setpoint - l.value
	l.sum = clamp(l.sum+l.gain*e*dt/max(l.reset, 0.1), 0, 100)
	l.output = clamp(l.sum+l.gain*e, 0, 100)
}

func (l *loop) points(b *builder, name, what, unit string, low, high float64) {
	b.part(name)
	b.command("auto", &l.auto, "manual", "auto", what+" controller mode")
	b.setpoint("setpoint", &l.setpoint, unit, low, high, what+" set-point").watched()
	b.analog("value", &l.value, unit, low, high, what).watched()
	b.setpoint("output", &l.output, "%", 0, 100, what+" controller output, written in manual")
}

// tuning adds the parameters of the controller to its points.
func (l *loop) tuning(b *builder, what string) {
	b.setpoint("gain", &l.gain, "", 0, 1000, what+" controller gain").slow()
	b.setpoint("reset_time", &l.reset, "s", 0, 3600, what+" controller integral time").slow()
}

// fill changes the level of a tank of the given volume (m3) by a net flow (m3/h); level is in percent.
func fill(level *float64, net, volume float64) {
	*level = clamp(*level+net*dt/3600/volume*100, 0, 105)
}

// proof is a counter that shows whether a device's values are its own, fresh, and unshifted.
type proof struct{ counter, check float64 }

func (p *proof) step(w *world, device int) {
	tick := uint32(w.seconds()*10 + 1e-6)
	counter := ProofCounter(device, tick)
	p.counter, p.check = float64(counter), float64(ProofCheck(counter))
}

func (p *proof) points(b *builder) {
	b.part(b.device + "/proof")
	b.counter("counter", &p.counter, "", "Counts tenths of a second, from a start of its own in each device").fast().History = "all"
	b.counter("check", &p.check, "", "Check number of the counter: a mixture of its bits").fast().History = "all"
}

// proofSpan separates the counters of two devices: each counts from its own multiple.
const proofSpan = 100_000_000

// ProofCounter returns what the proof counter of a device (its place in [Devices]) shows at a tick of 100 ms.
func ProofCounter(device int, tick uint32) uint32 {
	return uint32(device+1)*proofSpan + tick%proofSpan
}

// ProofCheck returns the check number that stands beside a counter.
func ProofCheck(counter uint32) uint32 { return uint32(mix(uint64(counter)) >> 32) }
