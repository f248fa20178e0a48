package journal

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"unicode/utf8"

	"scada/alarms"
)

const (
	placeBytes  = 8 + 2 + 16 // time, order within the instant, key
	headerBytes = 4 + 8      // checksum, sequence
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// place is where the entry stands in the file: by time, then by the order of cause and effect, then by key.
func place(e *Entry) []byte {
	b := make([]byte, 0, placeBytes)
	b = append(b, timeKey(e.Time)...)
	var order uint16
	if e.Alarm != nil {
		order = e.Alarm.Order
	}
	b = binary.BigEndian.AppendUint16(b, order)
	return append(b, e.Key[:]...)
}

// timeKey orders times as bytes, those before 1970 too.
func timeKey(t int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t)^(1<<63)) }

func timeOf(place []byte) int64 { return int64(binary.BigEndian.Uint64(place) ^ (1 << 63)) }

func sequenceKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// encode returns the stored form of an entry. bbolt has no checksums of its own.
func encode(seq uint64, text []byte) []byte {
	b := make([]byte, 4, headerBytes+len(text))
	b = binary.BigEndian.AppendUint64(b, seq)
	b = append(b, text...)
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// stored splits the stored form after checking it.
func stored(place, v []byte) (seq uint64, text []byte, err error) {
	if len(place) != placeBytes || len(v) < headerBytes || binary.BigEndian.Uint32(v) != crc32.Checksum(v[4:], castagnoli) {
		return 0, nil, fmt.Errorf("%w: the entry at %x has a wrong checksum", ErrDamaged, place)
	}
	return binary.BigEndian.Uint64(v[4:]), v[headerBytes:], nil
}

func decode(place, v []byte) (uint64, Entry, error) {
	seq, text, err := stored(place, v)
	if err != nil {
		return 0, Entry{}, err
	}
	var e Entry
	if err := json.Unmarshal(text, &e); err != nil {
		return 0, Entry{}, fmt.Errorf("%w: the entry at %x: %w", ErrDamaged, place, err)
	}
	return seq, e, nil
}

// bound cuts the texts of an entry: the journal never refuses a happening because somebody wrote too much about it.
func bound(e Entry) Entry {
	for _, s := range []*string{&e.Kind, &e.Area, &e.Source, &e.Tag, &e.User, &e.Node, &e.Message, &e.Old, &e.New, &e.Result, &e.Value, &e.Quality} {
		*s = cut(*s)
	}
	e.Class = Class(cut(string(e.Class)))
	if e.Alarm != nil && (math.IsNaN(e.Alarm.Limit) || math.IsInf(e.Alarm.Limit, 0)) {
		a := *e.Alarm
		a.Limit = 0 // JSON has no such numbers
		e.Alarm = &a
	}
	return e
}

// cut shortens a text to the limit at the end of a character.
func cut(s string) string {
	if len(s) <= alarms.MaxText {
		return s
	}
	n := alarms.MaxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func encodeCursor(place []byte) string { return base64.RawURLEncoding.EncodeToString(place) }

func decodeCursor(s string) ([]byte, error) {
	if len(s) != base64.RawURLEncoding.EncodedLen(placeBytes) {
		return nil, ErrCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCursor, err)
	}
	return b, nil
}
