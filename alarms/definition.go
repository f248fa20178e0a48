package alarms

import "time"

// Limits on the configuration and on what operators type.
const (
	// MaxDefinitions is the number of alarms one engine takes.
	MaxDefinitions = 100_000
	// MaxID is the longest condition id or tag name, in bytes.
	MaxID = 256
	// maxAlarmID leaves room for the level a non-exclusive alarm appends to its id.
	maxAlarmID = MaxID - 8
	// MaxText is the longest comment, user name, note or message, in bytes.
	MaxText = 1024
	// MaxNormal is the number of normal values a discrete alarm may have.
	MaxNormal = 256
	// MaxDelay is the longest delay, gap, shelving or re-alarm time: a year.
	MaxDelay = 366 * 24 * time.Hour
)

// DefaultFirstScanGrace is how long after a take-over a bad first sample of a tag is not believed.
const DefaultFirstScanGrace = 30 * time.Second

// Limit is a limit value: a number, or the present value of a tag. A limit tag that is bad keeps its last good value.
type Limit struct {
	Value float64
	Tag   string
}

// Definition is what the configuration says of one alarm. It is read-only after [New].
type Definition struct {
	ID       string // unique; first part of the identity of every occurrence
	Area     string
	Class    string
	Text     string // message; {tag} {level} {value} {limit} {unit} are replaced
	Guidance string
	Unit     string

	Type Type
	Tag  string
	// Tags are further tags of a bad_quality alarm, which is active when all of them are bad (one alarm per device).
	Tags []string

	// NonExclusive makes one condition per limit, named ID/Level, instead of one with the most severe violated limit.
	NonExclusive bool
	Limits       map[Level]Limit
	Strict       bool // a value equal to the limit does not violate it
	Deadband     float64
	Deadbands    map[Level]float64 // instead of Deadband
	OnDelay      time.Duration
	OnDelays     map[Level]time.Duration // instead of OnDelay
	OffDelay     time.Duration
	OffDelays    map[Level]time.Duration // instead of OffDelay
	Priority     Priority
	Priorities   map[Level]Priority // instead of Priority

	Setpoint     string        // deviation
	Target       string        // discrepancy: the tag of the commanded value
	Tolerance    float64       // discrepancy
	ExpectedTime time.Duration // discrepancy
	MaxGap       time.Duration // roc: a longer time between two samples gives no rate
	Normal       []float64     // discrete

	Latch         bool
	NoAck         bool          // occurrences are born acknowledged
	ShelveMax     time.Duration // zero: no limit
	Realarm       time.Duration // zero: none
	SuppressTag   string        // suppressed while this tag is 0
	SuppressedBy  string        // suppressed while this alarm is active
	FirstOut      string        // name of the first-out group
	HoldUncertain bool          // an uncertain value is held like a bad one instead of being evaluated
}

// Config is the alarm configuration of one engine.
type Config struct {
	Alarms []Definition
	// FirstScanGrace is how long after a take-over a bad first sample is not believed; zero means the default, a
	// negative value none.
	FirstScanGrace time.Duration
	// Flood is the flood suppression; the zero value is none.
	Flood FloodSuppression
}

func (c Config) grace() int64 {
	if c.FirstScanGrace == 0 {
		return int64(DefaultFirstScanGrace)
	}
	return max(0, int64(c.FirstScanGrace))
}

// levels returns the levels the type of the alarm may have.
func (t Type) levels() []Level {
	switch t {
	case TypeLevel, TypeDeviation:
		return []Level{LevelHiHi, LevelHi, LevelLo, LevelLoLo}
	case TypeRoc:
		return []Level{LevelRocHi, LevelRocLo}
	}
	return []Level{LevelActive}
}

func pick[T any](byLevel map[Level]T, l Level, general T) T {
	if v, ok := byLevel[l]; ok {
		return v
	}
	return general
}
