package api

import "time"

// Alarm is the present state of one alarm condition.
type Alarm struct {
	ID         string     `json:"id"` // of the condition, the same on both nodes
	Tag        string     `json:"tag"`
	Area       string     `json:"area"`
	Type       string     `json:"type"`
	State      string     `json:"state"` // NORM UNACK ACKED RTN_UNACK LATCH_UNACK LATCH_ACK SHELVED SUPPRESSED OOS
	Level      string     `json:"level,omitempty"`
	Active     bool       `json:"active"`
	Acked      bool       `json:"acked"`
	Priority   int        `json:"priority"` // 1 is the most urgent
	Occurrence uint64     `json:"occurrence"`
	Epoch      uint64     `json:"epoch"`
	Time       *time.Time `json:"time"`            // of the newest transition
	Onset      *time.Time `json:"onset,omitempty"` // when the condition became true
	AckedBy    string     `json:"acked_by,omitempty"`
	AckedAt    *time.Time `json:"acked_at,omitempty"`
	Until      *time.Time `json:"shelved_until,omitempty"`
	Value      any        `json:"value,omitempty"`
	Unit       string     `json:"unit,omitempty"`
	Quality    string     `json:"quality,omitempty"`
	Message    string     `json:"message,omitempty"`
	Comment    string     `json:"comment,omitempty"`
}

// AlarmChange is one transition of an alarm: what happened, and the alarm after it.
type AlarmChange struct {
	Event    string `json:"event"` // RAISE CLEAR LEVEL ACK RESET SHELVE UNSHELVE SUPPRESS UNSUPPRESS OOS RTS QUALITY REALARM MERGE COMMENT
	Annunced bool   `json:"ann"`   // list, horn and notification
	By       string `json:"by,omitempty"`
	Alarm    Alarm  `json:"alarm"`
}

// Alarms is the answer of GET /api/v1/alarms.
type Alarms struct {
	Alarms []Alarm `json:"alarms"`
	Total  int     `json:"total"`
	Next   string  `json:"next,omitempty"`
}

// AlarmFilter selects alarms. The zero value is every alarm that is not NORM.
type AlarmFilter struct {
	All         bool // also those in NORM
	State       string
	Area        string
	Tag         string
	MaxPriority int // 1..n; 0 is any
	Limit       int
	Cursor      string
}

// The alarm commands, the last part of POST /api/v1/alarms/….
const (
	AlarmAck      = "ack"
	AlarmReset    = "reset"
	AlarmShelve   = "shelve"
	AlarmUnshelve = "unshelve"
	AlarmComment  = "comment"
	AlarmOOS      = "oos"
	AlarmRTS      = "rts"
)

// AlarmRef names one occurrence of an alarm: a command never touches a newer one than the operator saw.
type AlarmRef struct {
	ID         string `json:"id"`
	Occurrence uint64 `json:"occurrence,omitempty"` // 0: the present one
}

// AlarmCommand is a command on one or more alarms.
type AlarmCommand struct {
	Command string     `json:"command,omitempty"` // set by the server from the path
	Alarms  []AlarmRef `json:"alarms"`
	Comment string     `json:"comment,omitempty"`
	ForS    int64      `json:"for_s,omitempty"` // shelve: seconds
	OneShot bool       `json:"one_shot,omitempty"`
}

// The results of an alarm command that was carried out. Any other result is a refusal with its reason as the word.
const (
	AlarmOK          = "ok"
	AlarmOKSolo      = "ok_solo"     // recorded on this node only, the pair is known to be solo
	AlarmUnconfirmed = "unconfirmed" // recorded here, the other node has not confirmed
)

// AlarmResult is the outcome for one alarm: ok, ok_solo, unconfirmed, or a reason such as already_acked or invalid_state.
type AlarmResult struct {
	ID     string `json:"id"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
}

// Done reports whether the command took effect.
func (r AlarmResult) Done() bool {
	return r.Result == AlarmOK || r.Result == AlarmOKSolo || r.Result == AlarmUnconfirmed
}

// AlarmResults is the answer to an alarm command.
type AlarmResults struct {
	Results []AlarmResult `json:"results"`
}

// KPI is the alarm performance of an interval, from the journal: GET /api/v1/kpi.
type KPI struct {
	From            time.Time      `json:"from"`
	To              time.Time      `json:"to"`
	Alarms          int            `json:"alarms"` // annunciated activations
	Per10MinAverage float64        `json:"per_10min_average"`
	Per10MinPeak    int            `json:"per_10min_peak"`
	FloodCount      int            `json:"flood_count"`
	FloodPercent    float64        `json:"flood_percent"` // of the interval
	Chattering      []AlarmCount   `json:"chattering"`
	Fleeting        []AlarmCount   `json:"fleeting"`
	Stale           []AlarmCount   `json:"stale"`
	Top             []AlarmCount   `json:"top"`
	ByPriority      map[string]int `json:"by_priority"`
	Unacknowledged  int            `json:"unacknowledged"`
	AckMedianS      float64        `json:"ack_median_s"`
	AckP95S         float64        `json:"ack_p95_s"`
	Per10MinSeries  []RatePoint    `json:"per_10min"`
	TopPercent      float64        `json:"top_percent"` // share of the ten most frequent
	ActiveNow       int            `json:"active_now"`
	ShelvedNow      int            `json:"shelved_now"`
	OutOfServiceNow int            `json:"out_of_service_now"`
	SuppressedNow   int            `json:"suppressed_now"`
}

// AlarmCount is how often an alarm was raised.
type AlarmCount struct {
	ID    string `json:"id"`
	Count int    `json:"count"`
}

// RatePoint is the number of alarms in the ten minutes from Time.
type RatePoint struct {
	Time  time.Time `json:"time"`
	Count int       `json:"count"`
}
