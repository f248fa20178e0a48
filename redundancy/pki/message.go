package pki

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits of the pairing messages, in bytes.
const (
	maxMessage = 1 << 10
	maxName    = 64
	maxReason  = 256
)

// pairingVersion is the version of the conversation; sides with different ones do not pair.
const pairingVersion = 1

// errMessage is wrapped by every error about bytes that are no message.
var errMessage = errors.New("not a message of the pairing")

// A message is a length of two bytes, a type and fields. The conversation: both send an offer; the dialler its proof; the
// listener its proof; the dialler done, when it has stored the pin; the listener done, when it has too. A refusal may
// come instead of anything.
const (
	typeOffer byte = iota + 1
	typeProof
	typeDone
	typeRefusal
)

type message interface{ append(b []byte) []byte }

type offer struct {
	version       byte
	project, node string
}

type proof struct{ sum [sha256.Size]byte }

type done struct{}

type refusal struct{ reason string }

func (m offer) append(b []byte) []byte {
	return appendText(appendText(append(b, typeOffer, m.version), m.project), m.node)
}
func (m proof) append(b []byte) []byte   { return append(append(b, typeProof), m.sum[:]...) }
func (done) append(b []byte) []byte      { return append(b, typeDone) }
func (m refusal) append(b []byte) []byte { return appendText(append(b, typeRefusal), m.reason) }

func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), maxReason)]
	return append(append(b, byte(len(s)>>8), byte(len(s))), s...)
}

func send(w io.Writer, m message) error {
	b := m.append([]byte{0, 0})
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	_, err := w.Write(b)
	return err
}

func receive(r io.Reader) (message, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint16(head[:])
	if size == 0 || size > maxMessage {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", errMessage, size, maxMessage)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("message cut short: %w", err)
	}
	return decode(body)
}

func decode(body []byte) (message, error) {
	kind, rest := body[0], body[1:]
	var m message
	var err error
	switch kind {
	case typeOffer:
		m, rest, err = decodeOffer(rest)
	case typeProof:
		var p proof
		if len(rest) < len(p.sum) {
			return nil, fmt.Errorf("%w: a short proof", errMessage)
		}
		rest = rest[copy(p.sum[:], rest):]
		m = p
	case typeDone:
		m = done{}
	case typeRefusal:
		var r refusal
		r.reason, rest, err = text(rest, maxReason)
		m = r
	default:
		return nil, fmt.Errorf("%w: type %d", errMessage, kind)
	}
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errMessage, len(rest))
	}
	return m, nil
}

func decodeOffer(b []byte) (offer, []byte, error) {
	var o offer
	if len(b) == 0 {
		return o, nil, fmt.Errorf("%w: an empty offer", errMessage)
	}
	o.version = b[0]
	var err error
	if o.project, b, err = text(b[1:], maxName); err != nil {
		return o, nil, err
	}
	o.node, b, err = text(b, maxName)
	return o, b, err
}

// text reads a text that is fit to be shown on a terminal.
func text(b []byte, limit int) (string, []byte, error) {
	if len(b) < 2 {
		return "", nil, fmt.Errorf("%w: cut short", errMessage)
	}
	size := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if size > limit || size > len(b) {
		return "", nil, fmt.Errorf("%w: a text of %d bytes", errMessage, size)
	}
	s := string(b[:size])
	if !utf8.ValidString(s) {
		return "", nil, fmt.Errorf("%w: a text that is not UTF-8", errMessage)
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return "", nil, fmt.Errorf("%w: a control character", errMessage)
		}
	}
	return s, b[size:], nil
}
