package process

// incident is something that goes wrong by itself for a while.
type incident uint8

const (
	calmDemand   incident = iota // the town uses little water: the clear water tank fills
	intakeTrip                   // an intake pump trips
	openDoor                     // somebody opens and closes the door of a well house again and again
	chlorineLoss                 // the chlorine dose loses its effect
	dirtyFilter                  // a filter clogs
	mixerJam                     // the mixer labours
	incidents
)

// The first minute shows a newcomer the alarm list at work.
var firstMinute = []struct {
	what     incident
	which    int
	from, to float64 // seconds
}{
	{calmDemand, 0, 0, 45},
	{intakeTrip, 1, 18, 48},
	{openDoor, 1, 30, 37},
	{chlorineLoss, 0, 34, 52},
}

// After it, each slot of five minutes has one incident.
const (
	slotSeconds     = 300.0
	incidentSeconds = 40.0
)

// happening reports whether an incident is going on now at the given one of its kind.
func (w *world) happening(what incident, which int) bool {
	t := w.seconds()
	if t < slotSeconds {
		for _, e := range firstMinute {
			if e.what == what && e.which == which && t >= e.from && t < e.to {
				return true
			}
		}
		return false
	}
	slot := uint64(t / slotSeconds)
	draw := mix(w.seed ^ slot*0xD1342543DE82EF95)
	if incident(draw%uint64(incidents)) != what {
		return false
	}
	if n := uint64(members[what]); int(draw>>8%n) != which {
		return false
	}
	begin := float64(slot)*slotSeconds + float64(draw>>16%200)
	return t >= begin && t < begin+incidentSeconds
}

// members is how many of each kind there are to be hit.
var members = [incidents]int{1, 3, 4, 1, 4, 1}
