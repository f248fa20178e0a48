package process

// well is one of the four wells behind the radio gateway.
type well struct {
	start, reset, running, trip, door       bool
	flow, level, pressure, current, quality float64
	total, energy, speed                    float64
}

func newWell(i int) well {
	return well{start: true, speed: 100, level: 21 - float64(i), total: float64(410_200 + 7_310*i), energy: float64(60_120 + 911*i)}
}

func (x *well) step(w *world, i int) {
	if x.reset {
		x.trip, x.reset = false, false
	}
	target := 0.0
	if x.start && !x.trip {
		target = 100
	}
	ramp(&x.speed, target, 20)
	x.running = x.speed > 5
	x.flow = 38 * x.speed / 100 * (1 + 0.01*w.noise())
	lag(&x.level, 24-float64(i)-3*x.speed/100+0.2*w.wander(900), 40)
	lag(&x.pressure, 0.4+4.6*x.speed/100+0.02*w.noise(), 1.5)
	x.current = 31 * x.speed / 100 * (1 + 0.01*w.noise())
	x.quality = 520 + 15*float64(i) + 6*w.wander(1500)
	integrate(&x.total, x.flow)
	integrate(&x.energy, 17*x.speed/100)
	x.door = w.happening(openDoor, i) && w.steps/8%2 == 0 // open and shut five times in four seconds
}

func (x *well) points(b *builder, device string, i int) {
	n := string(rune('1' + i))
	what := "Well " + n
	b.begin(device, "wells/well"+n)
	b.command("pump/start", &x.start, "stop", "start", what+" pump command")
	b.command("pump/reset", &x.reset, "-", "reset", what+" pump trip reset")
	b.input("pump/running", &x.running, "stopped", "running", what+" pump run feedback")
	b.input("pump/trip", &x.trip, "ok", "trip", what+" pump tripped").watched()
	b.input("door", &x.door, "closed", "open", what+" house door").watched()
	b.analog("level", &x.level, "m", 0, 40, what+" water above the probe").watched()
	b.analog("flow", &x.flow, "m3/h", 0, 80, what+" flow").watched()
	b.analog("pressure", &x.pressure, "bar", 0, 10, what+" discharge pressure").watched()
	b.analog("pump/current", &x.current, "A", 0, 60, what+" pump current")
	b.float("conductivity", &x.quality, "uS/cm", 0, 2000, what+" conductivity").slow()
	b.counter("total", &x.total, "m3", what+" total")
	b.counter("energy", &x.energy, "kWh", what+" energy")
}
