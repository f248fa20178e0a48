package process

// mixer is the polymer skid: a stirred tank with two dosing pumps (the OPC UA device).
type mixer struct {
	start, reset, running, trip, agitator, lid         bool
	speedSP, speed, torque, current, power, vibration  float64
	motor, gear, level, density, viscosity, weight     float64
	polymer                                            loop
	dose, water, powder, dosed, hours, batches, energy float64
	batch, operator, recipe                            string
	status                                             float64
}

func newMixer() mixer {
	return mixer{
		start: true, speedSP: 92, speed: 92, level: 64, density: 1002, viscosity: 310, polymer: newLoop(0.5, 40, 12, 50),
		motor: 51, gear: 47, batch: "B-20417", operator: "automatic", recipe: "POLY-05", dosed: 12_440, hours: 3_310, batches: 417, energy: 9_250,
	}
}

func (m *mixer) step(w *world) {
	jam := w.happening(mixerJam, 0)
	if m.reset {
		m.trip, m.reset = false, false
	}
	target := 0.0
	if m.start && !m.trip {
		target = m.speedSP
	}
	ramp(&m.speed, target, 15)
	s := m.speed / 100
	load := 1.0
	if jam {
		load = 1.9
	}
	lag(&m.torque, 130*s*s*load*(m.viscosity/310)+0.8*w.noise(), 1)
	m.power = m.torque * m.speed * 0.001047
	m.current = 4 + m.power*1.9
	m.vibration = 0.4 + 1.4*s*load + 0.1*w.noise()
	lag(&m.motor, 24+32*s*load, 90)
	lag(&m.gear, 23+26*s*load, 120)
	m.running = m.speed > 2
	m.polymer.step()
	lag(&m.polymer.value, m.polymer.output*0.01+0.004*w.noise(), 5)
	m.dose = m.polymer.output * 4
	m.powder = m.dose * 0.005
	lag(&m.viscosity, 310*m.polymer.value/0.5+6*w.wander(300), 30)
	m.density = 1000 + 4*m.polymer.value + 0.1*w.noise()
	m.level = 64 + 18*w.wander(500)
	m.water = m.dose + 30*w.wander(500)
	m.weight = m.level * 12
	integrate(&m.dosed, m.dose)
	integrate(&m.energy, m.power)
	if m.running {
		integrate(&m.hours, 1)
	}
	m.agitator, m.lid = m.running, false
	m.status = bits(m.running, m.polymer.auto, m.trip, jam)
}

func (m *mixer) points(b *builder) {
	b.begin(Mixer, "mixer")
	b.command("start", &m.start, "stop", "start", "Mixer start")
	b.command("reset", &m.reset, "-", "reset", "Mixer trip reset")
	b.input("running", &m.running, "stopped", "running", "Mixer run feedback")
	b.input("trip", &m.trip, "ok", "trip", "Mixer tripped").watched()
	b.input("lid", &m.lid, "closed", "open", "Mixer lid").watched()
	b.setpoint("speed_setpoint", &m.speedSP, "rpm", 0, 150, "Mixer speed set-point")
	b.analog("speed", &m.speed, "rpm", 0, 150, "Mixer speed").fast()
	b.analog("torque", &m.torque, "N.m", 0, 400, "Mixer torque").watched()
	b.analog("current", &m.current, "A", 0, 60, "Mixer motor current")
	b.analog("power", &m.power, "kW", 0, 30, "Mixer active power")
	b.analog("vibration", &m.vibration, "mm/s", 0, 10, "Mixer vibration").watched()
	b.analog("motor_temperature", &m.motor, "°C", 0, 150, "Mixer motor temperature").watched()
	b.analog("gear_temperature", &m.gear, "°C", 0, 150, "Mixer gear temperature").slow()
	b.analog("level", &m.level, "%", 0, 100, "Polymer tank level").watched()
	b.analog("density", &m.density, "kg/m3", 900, 1100, "Polymer density").slow()
	b.analog("viscosity", &m.viscosity, "mPa.s", 0, 1000, "Polymer viscosity").slow()
	b.analog("weight", &m.weight, "kg", 0, 1500, "Polymer tank weight")
	m.polymer.points(b, "mixer/polymer", "Polymer concentration", "%", 0, 1)
	b.prefix = "mixer"
	b.analog("dose_rate", &m.dose, "l/h", 0, 500, "Polymer dose rate")
	b.analog("water_rate", &m.water, "l/h", 0, 600, "Make-up water rate")
	b.analog("powder_rate", &m.powder, "kg/h", 0, 5, "Polymer powder rate")
	b.counter("dosed", &m.dosed, "l", "Polymer dosed")
	b.counter("hours", &m.hours, "h", "Mixer running hours")
	b.counter("batches", &m.batches, "", "Batches made")
	b.counter("energy", &m.energy, "kWh", "Mixer energy")
	b.words("batch", &m.batch, 32, "Batch in the tank")
	b.words("operator", &m.operator, 32, "Name of the operator")
	b.words("recipe", &m.recipe, 16, "Polymer recipe")
	b.word("status", &m.status, "Mixer status word", "running", "", "", "heavy_load")
}
