package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"scada/web/api"
)

// Close codes of the socket.
const (
	closeGoingAway    = 1001
	closeBadRequest   = 4400
	closeUnauthorized = 4401
	closeForbidden    = 4403
	closeTooSlow      = 4408
	closeTooBig       = 4413
	closeTooMany      = 4429
)

// closeError ends a connection with a code.
type closeError struct {
	code   int
	reason string
}

func (e *closeError) Error() string { return fmt.Sprintf("%d %s", e.code, e.reason) }

// Verbs of the client. Each needs a permission; a verb that is not here closes the connection.
var verbs = map[string]Permission{
	"hello": Anonymous, "sub": View, "unsub": View, "ack": View, "write": TagWrite,
}

// The control messages of the client.
type (
	helloMessage struct {
		Ticket string `json:"ticket"`
		Token  string `json:"token"`
		Lang   string `json:"lang"`
		Enc    string `json:"enc"`
		Resume *struct {
			Instance string `json:"instance"`
			Epoch    uint64 `json:"epoch"`
		} `json:"resume"`
	}
	subMessage struct {
		ID    int      `json:"id"`
		Tags  []string `json:"tags"`
		Glob  string   `json:"glob"`
		Page  string   `json:"page"`
		Topic string   `json:"topic"`
		MinMs int64    `json:"min_ms"`
		After uint64   `json:"after"`
	}
	unsubMessage struct {
		ID int `json:"id"`
	}
	ackMessage struct {
		Frame uint32 `json:"frame"`
	}
	writeMessage struct {
		ID  string `json:"id"`
		Tag string `json:"tag"`
		api.Write
	}
)

// parseControl decodes a control message into the struct of its verb. What it returns as error closes the connection.
func parseControl(data []byte) (any, string, *closeError) {
	if m, ok := parseAck(data); ok {
		return m, "ack", nil
	}
	var head struct {
		T string `json:"t"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, "", &closeError{closeBadRequest, "not a JSON object"}
	}
	if _, known := verbs[head.T]; !known {
		return nil, head.T, &closeError{closeBadRequest, "unknown t"}
	}
	var m any
	switch head.T {
	case "hello":
		m = &helloMessage{}
	case "sub":
		m = &subMessage{}
	case "unsub":
		m = &unsubMessage{}
	case "ack":
		m = &ackMessage{}
	case "write":
		m = &writeMessage{}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(m); err != nil {
		return nil, head.T, &closeError{closeBadRequest, "malformed " + head.T}
	}
	return m, head.T, nil
}

// parseAck reads an ack as the dashboard writes it. Nearly all messages are acks; any other spelling of one is read like the rest.
func parseAck(data []byte) (*ackMessage, bool) {
	digits, ours := bytes.CutPrefix(data, []byte(`{"t":"ack","frame":`))
	digits, whole := bytes.CutSuffix(digits, []byte("}"))
	if !ours || !whole || len(digits) > 1 && digits[0] == '0' {
		return nil, false
	}
	n, err := strconv.ParseUint(string(digits), 10, 32)
	return &ackMessage{Frame: uint32(n)}, err == nil
}

// The control messages of the server.
type (
	areaRole struct {
		Role      string `json:"role"`
		Epoch     uint64 `json:"epoch"`
		Confirmed bool   `json:"confirmed"`
	}
	welcomeMessage struct {
		T           string              `json:"t"`
		Server      string              `json:"server"`
		Instance    string              `json:"instance"`
		Epoch       uint64              `json:"epoch"`
		Seq         uint64              `json:"seq"`
		HbMs        int64               `json:"hb_ms"`
		Time        time.Time           `json:"time"`
		User        string              `json:"user"`
		Role        string              `json:"role"`
		Permissions []string            `json:"permissions"`
		Roles       map[string]areaRole `json:"roles"`
		Peers       []string            `json:"peers"`
		Recovered   bool                `json:"recovered"`
		Plant       string              `json:"plant"`
		Qualities   map[byte]string     `json:"qualities"`
		Limits      map[string]int      `json:"limits"`
	}
	plantMessage struct {
		T        string `json:"t"`
		Plant    string `json:"plant"`
		Instance string `json:"instance"`
	}
	subdMessage struct {
		T       string          `json:"t"`
		ID      int             `json:"id"`
		Plant   string          `json:"plant,omitempty"`
		Handles json.RawMessage `json:"handles,omitzero"` // [writer.announce] fills it in, of set
		Unknown []string        `json:"unknown,omitzero"`
		set     *tagSet
	}
	errorMessage struct {
		T      string `json:"t"`
		ID     int    `json:"id,omitempty"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	commandMessage struct {
		T      string           `json:"t"` // accepted, done or refused
		ID     string           `json:"id"`
		Result *api.WriteResult `json:"result,omitempty"`
		Code   string           `json:"code,omitempty"`
		Detail string           `json:"detail,omitempty"`
	}
	textMessage struct {
		T      string   `json:"t"`
		ID     uint16   `json:"id"`
		Frame  uint32   `json:"frame"`
		Values [][2]any `json:"values"`
	}
	dataMessage struct {
		T      string    `json:"t"`
		ID     uint16    `json:"id"`
		Kind   string    `json:"kind"`
		More   bool      `json:"more"`
		Frame  uint32    `json:"frame"`
		Seq    uint64    `json:"seq"`
		Epoch  uint64    `json:"epoch"`
		Time   time.Time `json:"time"`
		Values [][4]any  `json:"values"`
	}
	alarmsMessage struct {
		T       string        `json:"t"`
		ID      int           `json:"id"`
		Reset   bool          `json:"reset,omitempty"`
		More    bool          `json:"more,omitempty"`
		Seq     uint64        `json:"seq"`
		Alarms  []api.Alarm   `json:"alarms,omitzero"`
		Changes []alarmChange `json:"changes,omitzero"`
	}
	alarmChange struct {
		Seq uint64 `json:"seq"`
		api.AlarmChange
	}
	journalMessage struct {
		T       string             `json:"t"`
		ID      int                `json:"id"`
		Reset   bool               `json:"reset,omitempty"`
		Seq     uint64             `json:"seq"`
		Entries []api.JournalEntry `json:"entries"`
	}
	roleMessage struct {
		T    string   `json:"t"`
		ID   int      `json:"id"`
		Role api.Pair `json:"role"`
	}
	devicesMessage struct {
		T       string       `json:"t"`
		ID      int          `json:"id"`
		Devices []api.Device `json:"devices"`
	}
)

// limitsTable is what a client may want to know of the limits.
func limitsTable() map[string]int {
	return map[string]int{"subscriptions": maxSubscriptions, "messages_per_s": controlPerSecond, "in_flight": maxInFlight,
		"frame_values": maxFrameValues, "message_bytes": maxControl, "handles": maxHandles, "names": maxSubNames}
}
