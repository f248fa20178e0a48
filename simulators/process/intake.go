package process

// intake is the river intake: three pumps into the raw water tank (plc1).
type intake struct {
	pumps                                               [3]pump
	inlet                                               valve
	level                                               loop // of the raw water tank, by pump speed
	river, temperature, turbidity, conductivity, screen float64
	header, flow, total, voltage, power, energy, status float64
	flooded, door, rake                                 bool
}

// rawVolume is the volume of the raw water tank in m3.
const rawVolume = 200

func newIntake() intake {
	in := intake{inlet: newValve(100, 30), level: newLoop(65, 1.2, 90, 78), flow: 640, header: 3.1, total: 1_204_330, energy: 88_410}
	for i := range in.pumps {
		in.pumps[i] = newPump(410, 55, 78)
		in.pumps[i].hours, in.pumps[i].starts, in.pumps[i].energy = float64(8120-2200*i), float64(412-90*i), float64(301_200-83_000*i)
	}
	in.pumps[2].speed, in.pumps[2].wasOn = 0, false
	return in
}

func (in *intake) step(w *world) {
	in.level.step()
	standby := in.pumps[0].trip || in.pumps[1].trip
	in.inlet.step()
	sum := 0.0
	for i := range in.pumps {
		p := &in.pumps[i]
		p.maxFlow = 410 * in.inlet.position / 100
		p.step(w, i < 2 || standby, in.level.output, w.happening(intakeTrip, i))
		sum += p.flow
		in.power += p.power
	}
	in.power = 3.5 + in.pumps[0].power + in.pumps[1].power + in.pumps[2].power
	lag(&in.flow, sum, 1.5)
	lag(&in.header, 1.2+3.0e-6*in.flow*in.flow+0.02*w.noise(), 0.8)
	fill(&in.level.value, in.flow-w.treatment.raw, rawVolume)
	integrate(&in.total, in.flow)
	integrate(&in.energy, in.power)
	in.river = 3.4 + 0.25*w.wander(1800) + 0.01*w.noise()
	in.temperature = 14.2 + 0.6*w.wander(3600)
	in.turbidity = 11 + 4*w.wander(900) + 0.3*w.noise()
	in.conductivity = 412 + 9*w.wander(1200)
	in.voltage = 400 + 3*w.wander(240) + 0.6*w.noise()
	dirt := w.steps / 20 % 600 // the rake cleans the screen every ten minutes
	in.screen = 4 + float64(dirt)*0.02 + 0.3*w.noise()
	in.rake = dirt < 15
	in.flooded, in.door = false, false
	in.status = bits(true, standby, in.rake, in.level.auto)
}

func (in *intake) points(b *builder) {
	b.begin(PLC1, "intake")
	for i := range in.pumps {
		in.pumps[i].points(b, "intake/pump"+string(rune('1'+i)), "Intake pump "+string(rune('1'+i)))
	}
	in.inlet.points(b, "intake/inlet_valve", "Intake inlet valve")
	in.inlet.switches(b, "Intake inlet valve")
	in.level.points(b, "intake/raw_tank_level", "Raw water tank level", "%", 0, 100)
	b.part("intake")
	b.analog("river/level", &in.river, "m", 0, 8, "River level at the intake").slow().watched()
	b.analog("river/temperature", &in.temperature, "°C", -5, 40, "River water temperature").slow()
	b.float("river/turbidity", &in.turbidity, "NTU", 0, 100, "Raw water turbidity").watched()
	b.analog("river/conductivity", &in.conductivity, "uS/cm", 0, 2000, "Raw water conductivity").slow()
	b.analog("screen/differential", &in.screen, "mbar", 0, 100, "Loss over the intake screen").watched()
	b.analog("header/pressure", &in.header, "bar", 0, 10, "Raw water header pressure").watched()
	b.float("header/flow", &in.flow, "m3/h", 0, 1500, "Raw water flow").fast().watched()
	b.counter("header/total", &in.total, "m3", "Raw water total")
	b.analog("supply/voltage", &in.voltage, "V", 0, 500, "Supply voltage between lines")
	b.float("supply/power", &in.power, "kW", 0, 250, "Active power of the intake")
	b.counter("supply/energy", &in.energy, "kWh", "Energy of the intake")
	b.input("flooded", &in.flooded, "dry", "flooded", "Water on the floor of the pump hall").watched()
	b.input("door", &in.door, "closed", "open", "Door of the pump hall")
	b.input("screen/rake", &in.rake, "stopped", "running", "Screen rake")
	b.word("status", &in.status, "Intake status word", "power_ok", "standby_called", "", "level_auto")
}
