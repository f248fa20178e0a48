// Package wire is what two nodes of a pair say to each other: messages as bytes, and bytes as messages. FORMAT.md
// describes the bytes. Everything read is bounded; a byte that was not meant for this package ends in an error, never
// in a panic or a large allocation.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"scada/redundancy/role"
)

// Protocol is the version of the link. Nodes with different versions refuse each other. Fields added at the end of a
// message do not change it: a reader ignores what follows the fields it knows, and a missing field is zero.
const Protocol = 1

// Limits of everything that is read.
const (
	// MaxFrame is the longest frame, in bytes, without its length and checksum.
	MaxFrame = 2 << 20
	// MaxHello is the longest first frame of a connection, in bytes: nothing larger is read from a stranger.
	MaxHello = 8 << 10
	// MaxText is the longest name, reason or digest, in bytes; longer texts are cut when they are sent.
	MaxText = 1 << 10
	// MaxPayload is the longest payload of a record or command, in bytes.
	MaxPayload = 1 << 20
	// MaxList is how many areas, reasons, counters a message may have.
	MaxList = 256
	// MaxRecords is how many records one frame may have.
	MaxRecords = 4096
	// BatchBytes is how many bytes of payload a sender puts into one frame of several records.
	BatchBytes = 256 << 10
)

// ErrFormat is wrapped by every error about bytes that are no message.
var ErrFormat = errors.New("not a message of the link")

// Type says what a frame contains. The numbers are part of the format: append only.
type Type uint8

// The types.
const (
	TypeHello Type = iota + 1
	TypeReject
	TypeBeat
	TypeGoodbye
	TypeOpen
	TypeSnapshotBegin
	TypeSnapshotPart
	TypeSnapshotEnd
	TypeRecords
	TypeApplied
	TypeStep
	TypeCommand
	TypeResult
)

// Message is one of the message types of this package, by value.
type Message interface {
	kind() Type
	append(b []byte) []byte
}

// Purpose says what a connection is for.
type Purpose uint8

// The purposes.
const (
	// Heartbeat connections carry requests of the side that dialled, and answers.
	Heartbeat Purpose = iota
	// Stream connections carry one area's records to the side that dialled.
	Stream
	purposeEnd
)

// Hello is the first frame each side sends on a connection.
type Hello struct {
	Protocol    uint16
	Purpose     Purpose
	Incarnation uint64 // of the sender's process
	Known       uint64 // the highest incarnation of the receiver the sender knows
	Project     string
	Version     string
	Digest      string // of the configuration
	Node        string
	Areas       []string
}

// Reject is sent instead of a Hello to a peer that is turned away.
type Reject struct {
	Known  uint64 // see Hello
	Reason string
}

// Beat is a heartbeat: a request, or the answer to one.
type Beat struct {
	Answer          bool
	Seq             uint64 // the sender's counter of messages over all paths
	Request         uint64 // number of the request, or of the request answered
	Number          uint64 // number of the answer; 0 in requests
	Echo            uint64 // number of the newest answer received
	EchoIncarnation uint64 // of the newest process of the receiver that the sender knows, which sent that answer
	Wall            int64  // the sender's wall clock, UTC nanoseconds
	Digest          string
	Score           int64
	Reasons         []string // behind the score
	NotReady        []string
	Progress        []Progress
	Areas           []Area
	Switch          Switch // the newest the sender knows of; To is empty before the first
}

// Switch is the record of a switch-over; times are UTC nanoseconds, spans nanoseconds.
type Switch struct {
	Area, From, To, Reason       string
	Kind                         role.Kind
	At                           int64
	Epoch                        uint64
	Detect, Activate, FirstValue int64
	Missed, Duplicates           uint32
}

// Progress is a counter of work done with its age.
type Progress struct {
	Name    string
	Counter uint64
	Age     int64 // nanoseconds
}

// Area is what a Beat tells of one area.
type Area struct {
	Name      string
	View      role.View
	LeaseLeft int64 // nanoseconds
	Since     int64 // UTC nanoseconds
	Reason    string
	Devices   uint32
	Commands  uint32
	// Epoch, Applied and Durable are the position of the mirror on a standby.
	Epoch, Applied, Durable uint64
	// Lost is the weight of the devices that this node cannot reach; Told is false when an older sender says nothing of it.
	Lost uint32
	Told bool
}

// Goodbye says that the sender leaves and nothing of it acts any more.
type Goodbye struct {
	Seq    uint64
	Reason string
}

// Open asks for the stream of an area, from the position after Seq of Epoch on. It is the first frame after the Hello
// on a stream connection.
type Open struct {
	Area       string
	Epoch, Seq uint64
}

// SnapshotBegin is followed by parts and one end; together they are the whole state of the area at the position.
type SnapshotBegin struct{ Epoch, Seq uint64 }

// SnapshotPart is some of the records of a snapshot.
type SnapshotPart struct{ Records []Record }

// SnapshotEnd closes a snapshot and says how many records it had.
type SnapshotEnd struct{ Count uint64 }

// Records is a piece of the stream. An empty one tells the position alone: the standby has everything up to First-1.
type Records struct {
	Epoch, First uint64
	Wall         int64 // when the first was published, UTC nanoseconds
	Records      []Record
}

// Record is one item of an area's stream, opaque to the link.
type Record struct {
	Kind    uint8
	Payload []byte
}

// Applied reports the position of the standby.
type Applied struct{ Epoch, Applied, Durable uint64 }

// Step is a step of a planned switch of an area.
type Step struct {
	Area    string
	Message role.Message
}

// Command is a client's command on its way to the active node. Key is different for every command of the pair: a receiver
// can tell a repetition from a new command. It is sent once.
type Command struct {
	ID      uint64
	Key     string
	Payload []byte
}

// Result is the answer to a Command.
type Result struct {
	ID      uint64
	Error   string // empty when it succeeded
	Payload []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the frame of a message to b.
func Append(b []byte, m Message) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(m.kind()))
	b = m.append(b)
	body := b[start+4:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(body)))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
}

// Read reads one frame of at most limit bytes and decodes it.
func Read(r io.Reader, limit int) (Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size == 0 || size > uint32(limit) {
		return nil, fmt.Errorf("%w: a frame of %d bytes, the limit is %d", ErrFormat, size, limit)
	}
	body := make([]byte, size+4)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("frame cut short: %w", err)
	}
	if crc32.Checksum(body[:size], castagnoli) != binary.LittleEndian.Uint32(body[size:]) {
		return nil, fmt.Errorf("%w: wrong checksum", ErrFormat)
	}
	return Decode(body[:size])
}

// Decode decodes the body of a frame: its type and fields. Payloads in the result point into body.
func Decode(body []byte) (Message, error) {
	if len(body) == 0 || len(body) > MaxFrame {
		return nil, fmt.Errorf("%w: a body of %d bytes", ErrFormat, len(body))
	}
	d := &decoder{b: body[1:]}
	m := d.message(Type(body[0]))
	if d.err != nil {
		return nil, fmt.Errorf("message of type %d: %w", body[0], d.err)
	}
	return m, nil
}
