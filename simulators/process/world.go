package process

import "math"

// dt is the length of a step in seconds.
const dt = float64(Step) / 1e9

// noiseSteps is how many steps a sensor's noise stands still: half a second.
const noiseSteps = 10

// world is the whole state of the plant.
type world struct {
	seed    uint64
	steps   int64
	channel uint64 // counts the noise sources asked in this step, so that each has its own

	intake    intake
	treatment treatment
	wells     [4]well
	mixer     mixer
	proofs    [len(devices)]proof
}

// seconds returns the time since the plant began.
func (w *world) seconds() float64 { return float64(w.steps) * dt }

func (w *world) step() {
	w.steps++
	w.channel = 0
	w.intake.step(w)
	for i := range w.wells {
		w.wells[i].step(w, i)
	}
	w.mixer.step(w)
	w.treatment.step(w)
	for i := range w.proofs {
		w.proofs[i].step(w, i)
	}
}

// noise returns a number in -1..1 that stays for half a second; each call of a step is a source of its own.
func (w *world) noise() float64 {
	w.channel++
	return unit(mix(w.seed ^ w.channel*0x9E3779B97F4A7C15 ^ uint64(w.steps/noiseSteps)<<20))
}

// wander returns a number in -1..1 that drifts with about the given period in seconds, and never repeats exactly.
func (w *world) wander(period float64) float64 {
	w.channel++
	phase := math.Pi * unit(mix(w.seed+w.channel))
	t := 2 * math.Pi * w.seconds() / period
	return 0.6*math.Sin(t+phase) + 0.3*math.Sin(1.7*t+2*phase) + 0.1*math.Sin(4.3*t+3*phase)
}

// mix is the finaliser of splitmix64: every bit of the result depends on every bit of x.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// unit maps 64 random bits to -1..1.
func unit(x uint64) float64 { return float64(x>>11)/(1<<52) - 1 }

func clamp(v, low, high float64) float64 { return min(max(v, low), high) }

// lag moves v towards target with the given time constant in seconds.
func lag(v *float64, target, tau float64) { *v += (target - *v) * min(dt/tau, 1) }

// ramp moves v towards target by at most rate a second.
func ramp(v *float64, target, rate float64) { *v += clamp(target-*v, -rate*dt, rate*dt) }

// bits packs flags into a status word, the first into bit 0.
func bits(flags ...bool) float64 {
	word := 0
	for i, f := range flags {
		if f {
			word |= 1 << i
		}
	}
	return float64(word)
}

// integrate adds a quantity per hour to a 32-bit counter, which rolls over.
func integrate(total *float64, perHour float64) {
	*total = math.Mod(*total+max(perHour, 0)*dt/3600, 1<<32)
}
