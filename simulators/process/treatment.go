package process

import "math"

// filter is one rapid sand filter.
type filter struct{ flow, loss, turbidity, hours, state float64 }

// treatment is the works itself: coagulation, filters, clear water tank, disinfection, and the pumps into town (plc2).
type treatment struct {
	inlet, bypass                                      valve
	dosing, chlorine, pressure                         loop
	filters                                            [4]filter
	valves                                             [4]valve
	pumps                                              [2]pump
	raw, ph, dosed, coagulant, stock, status           float64
	clear, clearTemperature, turbidity                 float64
	demand, out, produced, delivered, reservoir, power float64
	north, centre, south                               float64
	leak, power24, door                                bool
	message, recipe                                    string
}

// clearVolume is the volume of the clear water tank in m3.
const clearVolume = 120

func newTreatment() treatment {
	t := treatment{
		inlet: newValve(100, 25), bypass: newValve(0, 40),
		dosing: newLoop(32, 0.8, 20, 44), chlorine: newLoop(0.6, 25, 30, 42), pressure: newLoop(4.2, 6, 8, 78),
		raw: 610, ph: 7.3, coagulant: 71, stock: 318, clear: 84.1, clearTemperature: 14.4, turbidity: 0.09, demand: 500,
		produced: 3_402_100, delivered: 3_377_950, reservoir: 71, out: 560, power24: true,
		message: "Treatment in normal operation", recipe: "SUMMER-2",
	}
	for i := range t.filters {
		t.filters[i] = filter{flow: 150, loss: 40 + 12*float64(i), turbidity: 0.08, hours: float64(9 + 6*i)}
		t.valves[i] = newValve(100, 20)
	}
	for i := range t.pumps {
		t.pumps[i] = newPump(620, 75, 78)
		t.pumps[i].hours, t.pumps[i].starts, t.pumps[i].energy = float64(15_030-40*i), float64(77+3*i), float64(1_020_500-20_300*i)
	}
	return t
}

func (t *treatment) step(w *world) {
	t.filter(w)
	t.dose(w)
	t.deliver(w)
	t.power24, t.leak, t.door = true, false, false
	t.power = 12 + t.pumps[0].power + t.pumps[1].power
	t.status = bits(true, t.dosing.auto, t.chlorine.auto, t.pressure.auto)
}

// filter moves water from the raw to the clear water tank: more of it the emptier the clear water tank is.
func (t *treatment) filter(w *world) {
	t.inlet.step()
	t.bypass.step()
	want := clamp(640+12*(75-t.clear), 120, 900) * t.inlet.position / 100
	if w.intake.level.value < 5 {
		want = 0
	}
	open := 0.0
	for i := range t.valves {
		t.valves[i].step()
		open += t.valves[i].position
	}
	t.raw = 0
	turbidity := 0.0
	for i := range t.filters {
		f := &t.filters[i]
		f.step(w, i, want*t.valves[i].position/max(open, 1))
		t.raw += f.flow
		turbidity += f.turbidity * f.flow
	}
	lag(&t.turbidity, turbidity/max(t.raw, 1)+0.004*w.noise(), 10)
}

func (f *filter) step(w *world, i int, want float64) {
	lag(&f.flow, want, 4)
	clog := 0.004 // mbar a second
	if w.happening(dirtyFilter, i) {
		clog = 4
	}
	f.loss += clog * dt * f.flow / 150
	f.hours += dt / 3600
	f.state = 1
	if f.loss > 190 || f.hours > 36 { // back-washed at once in this small plant: the loss falls to that of a clean bed
		f.loss, f.hours, f.state = 34, 0, 2
	}
	f.turbidity = 0.07 + 0.0003*f.loss + 0.004*w.noise()
}

// dose keeps the coagulant and the chlorine at their set-points; the water takes up what it is given slowly.
func (t *treatment) dose(w *world) {
	t.dosing.step()
	t.dosed = t.dosing.output * 0.6 // l/h at full stroke: 60
	lag(&t.dosing.value, t.dosing.output*0.73*610/max(t.raw, 100)+0.1*w.noise(), 12)
	t.coagulant = clamp(t.coagulant-t.dosed*dt/3600/1000*100, 0, 100)
	lag(&t.ph, 7.62-0.009*t.dosing.value+0.05*w.wander(400), 15)
	t.chlorine.step()
	effect := 1.0
	if w.happening(chlorineLoss, 0) {
		effect = 0.45
	}
	lag(&t.chlorine.value, 0.0143*t.chlorine.output*effect+0.006*w.noise(), 6)
	t.stock = max(t.stock-t.chlorine.output*dt/3600*0.02, 0)
}

// deliver pumps into town. What the town takes depends on the pressure it is given.
func (t *treatment) deliver(w *world) {
	want := 790 + 70*w.wander(700)
	if w.happening(calmDemand, 0) {
		want = 470
	}
	lag(&t.demand, want, 3)
	t.pressure.step()
	head, running := 0.0, 0.0
	for i := range t.pumps {
		p := &t.pumps[i]
		p.step(w, true, t.pressure.output, false)
		if p.running {
			running++
			head += p.speed / 100
		}
	}
	if running > 0 {
		s := head / running
		q := t.out / running / 500
		head = max(7.6*s*s-1.1*q*q, 0)
	}
	lag(&t.pressure.value, head+0.01*w.noise(), 1.2)
	q := t.demand * math.Sqrt(max(t.pressure.value, 0)/4.2)
	if t.clear < 3 {
		q = 0 // the pumps run dry
	}
	lag(&t.out, q, 1)
	for i := range t.pumps {
		t.pumps[i].flow = t.out * t.pumps[i].speed / max(t.pumps[0].speed+t.pumps[1].speed, 1)
	}
	inflow := t.raw
	for i := range w.wells {
		inflow += w.wells[i].flow
	}
	fill(&t.clear, inflow-t.out-t.bypass.position, clearVolume)
	integrate(&t.produced, inflow)
	integrate(&t.delivered, t.out)
	t.clearTemperature = 14.6 + 0.3*w.wander(2400)
	t.reservoir = 71 + 6*w.wander(3000)
	t.north = t.pressure.value - 0.35 - 4e-7*t.out*t.out + 0.01*w.noise()
	t.centre = t.pressure.value - 0.15 - 2e-7*t.out*t.out + 0.01*w.noise()
	t.south = t.pressure.value - 0.6 - 5e-7*t.out*t.out + 0.01*w.noise()
}

func (t *treatment) points(b *builder) {
	b.begin(PLC2, "treatment")
	t.inlet.points(b, "treatment/inlet_valve", "Treatment inlet valve")
	t.inlet.switches(b, "Treatment inlet valve")
	t.bypass.points(b, "treatment/bypass_valve", "Clear water bypass valve")
	t.bypass.switches(b, "Clear water bypass valve")
	t.dosing.points(b, "treatment/coagulant", "Coagulant dose", "mg/l", 0, 100)
	t.chlorine.points(b, "treatment/chlorine", "Free chlorine after the contact tank", "mg/l", 0, 2)
	t.chlorine.tuning(b, "Free chlorine")
	for i := range t.filters {
		f, n := &t.filters[i], string(rune('1'+i))
		t.valves[i].points(b, "treatment/filter"+n+"/valve", "Filter "+n+" outlet valve")
		b.prefix = "treatment/filter" + n
		b.analog("flow", &f.flow, "m3/h", 0, 400, "Filter "+n+" flow")
		b.analog("head_loss", &f.loss, "mbar", 0, 250, "Filter "+n+" head loss").watched()
		b.float("turbidity", &f.turbidity, "NTU", 0, 5, "Filter "+n+" outlet turbidity").watched()
		b.float("hours", &f.hours, "h", 0, 100, "Filter "+n+" hours since back-wash").slow()
		b.word("state", &f.state, "Filter "+n+" state: 1 filtering, 2 back-wash")
	}
	b.part("treatment")
	b.float("ph", &t.ph, "pH", 0, 14, "pH after coagulation").watched()
	b.analog("coagulant/tank_level", &t.coagulant, "%", 0, 100, "Coagulant tank level").slow().watched()
	b.float("coagulant/dosed", &t.dosed, "l/h", 0, 60, "Coagulant pump rate")
	b.analog("chlorine/stock", &t.stock, "kg", 0, 500, "Chlorine in stock").slow().watched()
	b.input("chlorine/leak", &t.leak, "ok", "leak", "Chlorine gas detector").watched()
	b.analog("clear_tank/level", &t.clear, "%", 0, 100, "Clear water tank level").watched()
	b.analog("clear_tank/temperature", &t.clearTemperature, "°C", 0, 40, "Clear water temperature").slow()
	b.float("clear_tank/turbidity", &t.turbidity, "NTU", 0, 5, "Clear water turbidity").watched()
	b.counter("produced", &t.produced, "m3", "Water produced")
	b.input("power_24v", &t.power24, "lost", "ok", "Control power").watched()
	b.input("door", &t.door, "closed", "open", "Door of the chemical store")
	b.float("power", &t.power, "kW", 0, 300, "Active power of the works")
	b.word("status", &t.status, "Treatment status word", "running", "", "", "pressure_auto")
	b.words("message", &t.message, 32, "Message to the next shift")
	b.words("recipe", &t.recipe, 16, "Dosing recipe in use")
	t.pressure.points(b, "network/pressure", "Network pressure", "bar", 0, 10)
	for i := range t.pumps {
		n := string(rune('1' + i))
		t.pumps[i].points(b, "network/pump"+n, "Network pump "+n)
	}
	b.part("network")
	b.float("flow", &t.out, "m3/h", 0, 1500, "Flow into town").fast().watched()
	b.counter("total", &t.delivered, "m3", "Water delivered")
	b.analog("north/pressure", &t.north, "bar", 0, 10, "Pressure in the northern zone").watched()
	b.analog("centre/pressure", &t.centre, "bar", 0, 10, "Pressure in the central zone").watched()
	b.analog("south/pressure", &t.south, "bar", 0, 10, "Pressure in the southern zone").watched()
	b.analog("reservoir/level", &t.reservoir, "%", 0, 100, "Hill reservoir level").slow().watched()
}
