package pki

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// CodeLife is how long a one-time code is good for.
const CodeLife = 5 * time.Minute

// MaxTries is how many wrong codes an invitation bears.
const MaxTries = 3

// codeLetters is Crockford's base 32: no letter looks like a digit.
const codeLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// codeLength gives 12 x 5 = 60 bits.
const codeLength = 12

// Argon2id's costs of making the key: some 50 ms and 64 MiB for each guess.
const (
	stretchTime    = 1
	stretchMemory  = 64 << 10 // KiB
	stretchThreads = 2
)

// newCode returns a code as people read it: XXXX-XXXX-XXXX.
func newCode() (string, error) {
	b := make([]byte, codeLength)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("making a one-time code: %w", err)
	}
	var s strings.Builder
	for i, x := range b {
		if i > 0 && i%4 == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(codeLetters[x%32])
	}
	return s.String(), nil
}

// errNoCode is the error of a code with a letter too few or too many.
var errNoCode = errors.New("a one-time code has three groups of four letters and digits: XXXX-XXXX-XXXX")

// plainCode brings what was typed into the one form that both sides hash.
func plainCode(typed string) (string, error) {
	if len(typed) > 4*codeLength {
		return "", errNoCode
	}
	var s strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch r {
		case '-', ' ', '\t', '\r', '\n':
			continue
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(codeLetters, r) {
			return "", errNoCode
		}
		s.WriteRune(r)
	}
	if s.Len() != codeLength {
		return "", errNoCode
	}
	return s.String(), nil
}

// secrets are the two proofs of one conversation: what the side that dialled and the side that listens must show.
type secrets struct{ dialler, listener [sha256.Size]byte }

// prove derives the proofs from the code and from everything the two sides must agree on: the TLS connection itself
// (its exported key differs between the two connections of a man in the middle), both certificates and both offers. The
// code is stretched with the exported key as salt, so that nothing can be computed before the connection exists.
func prove(code string, state tls.ConnectionState, dialler, listener side) (secrets, error) {
	exported, err := state.ExportKeyingMaterial("EXPORTER-scada-link-pairing", nil, 32)
	if err != nil {
		return secrets{}, fmt.Errorf("deriving the proof: %w", err)
	}
	key := argon2.IDKey([]byte(code), exported, stretchTime, stretchMemory, stretchThreads, 32)
	mac := func(role string) (sum [sha256.Size]byte) {
		h := hmac.New(sha256.New, key)
		for _, part := range [][]byte{[]byte(role), dialler.pin[:], dialler.offer.append(nil), listener.pin[:], listener.offer.append(nil)} {
			h.Write([]byte{byte(len(part) >> 8), byte(len(part))})
			h.Write(part)
		}
		h.Sum(sum[:0])
		return sum
	}
	return secrets{dialler: mac("dialler"), listener: mac("listener")}, nil
}

// side is what one side of the conversation is known by.
type side struct {
	pin   [sha256.Size]byte
	offer offer
}
