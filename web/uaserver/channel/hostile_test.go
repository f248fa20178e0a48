package channel

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
	"github.com/gopcua/opcua/uasc"
)

// The long form: go test -run TestHostile ./web/uaserver/... -args -messages 10000000 (make fuzz-ua).
var hostileMessages = flag.Int("messages", 5_000, "hostile chunks to send")

// quiet is a connection nothing is sent on.
type quiet struct{ net.Conn }

func (quiet) SetReadDeadline(time.Time) error  { return nil }
func (quiet) SetWriteDeadline(time.Time) error { return nil }
func (quiet) Close() error                     { return nil }
func (quiet) Write(b []byte) (int, error)      { return len(b), nil }

// secured returns a server's end of a secure channel that was just opened, and the keys the client has for it.
func secured(t testing.TB, policy string, mode ua.MessageSecurityMode) (func() *Conn, *token) {
	t.Helper()
	nonce := func() []byte { b := make([]byte, 32); _, _ = rand.Read(b); return b }
	server, client := nonce(), nonce()
	keys := func(own, peer []byte) *uapolicy.EncryptionAlgorithm {
		if mode == ua.MessageSecurityModeNone {
			return nil
		}
		algo, err := uapolicy.Symmetric(policy, own, peer)
		if err != nil {
			t.Fatal(err)
		}
		return algo
	}
	algo := keys(server, client)
	cfg := &Config{MaxMessage: 1 << 20, TokenLifetime: time.Hour}
	fresh := func() *Conn {
		own := &token{id: 1, mode: mode, algo: algo, expires: time.Now().Add(time.Hour)}
		c := &Conn{nc: quiet{}, cfg: cfg, id: 7, opened: true, security: Security{Policy: policy, Mode: mode}, tokens: []*token{own}, nextID: 1}
		c.wake.L = &c.mu
		c.sending.Store(own)
		return c
	}
	return fresh, &token{id: 1, mode: mode, algo: keys(client, server)}
}

// sealAnything seals what need not be a proper chunk: the clear text is signed and encrypted as it is, padding included.
func sealAnything(t testing.TB, keys *token, header, plain []byte) []byte {
	b := append(append([]byte(nil), header...), plain...)
	if keys.mode == ua.MessageSecurityModeNone {
		binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
		return b
	}
	if keys.mode == ua.MessageSecurityModeSignAndEncrypt {
		block := keys.algo.PlaintextBlockSize()
		for (len(b)-headerBytes+keys.algo.SignatureLength())%block != 0 {
			b = append(b, byte(len(b)))
		}
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)+keys.algo.SignatureLength()))
	b, err := finish(b, 0, headerBytes, keys.algo, keys.mode == ua.MessageSecurityModeSignAndEncrypt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHostileChunks sends chunks that are wrong before they are sealed, and others that are wrong after it, with every
// policy and mode. A chunk that is changed after it was sealed must never get through.
func TestHostileChunks(t *testing.T) {
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 1))
	var taken, refused int
	modes := []ua.MessageSecurityMode{ua.MessageSecurityModeNone, ua.MessageSecurityModeSign, ua.MessageSecurityModeSignAndEncrypt}
	for _, mode := range modes {
		for _, policy := range Policies() {
			fresh, keys := secured(t, policy, mode)
			for range max(*hostileMessages/len(modes)/len(Policies()), 1) {
				if hostileChunk(t, rnd, fresh(), keys) {
					taken++
				} else {
					refused++
				}
			}
		}
	}
	t.Logf("%d chunks taken, %d refused", taken, refused)
	if taken == 0 || refused == 0 {
		t.Error("one kind was not tried")
	}
}

// hostileChunk sends one chunk and reports whether it was taken.
func hostileChunk(t *testing.T, rnd *mathrand.Rand, c *Conn, keys *token) bool {
	plain := make([]byte, rnd.IntN(100))
	for i := range plain {
		plain[i] = byte(rnd.Uint32())
	}
	if len(plain) >= 8 && rnd.IntN(4) > 0 {
		binary.LittleEndian.PutUint32(plain, 1) // the sequence number that is due
	}
	header := make([]byte, headerBytes)
	copy(header, []string{"MSGF", "MSGC", "MSGA", "CLOF", "MSGX"}[min(rnd.IntN(8), 4)])
	binary.LittleEndian.PutUint32(header[8:], c.id)
	binary.LittleEndian.PutUint32(header[12:], 1)
	b := sealAnything(t, keys, header, plain)
	spoiled := rnd.IntN(2) == 0
	if spoiled {
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	}
	c.r = bufio.NewReader(bytes.NewReader(b))
	_, _, err := c.next()
	var refusal *protocolError
	if err != nil && !errors.As(err, &refusal) && !errors.Is(err, ErrClosed) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("chunk %x: %v", b, err)
	}
	if err == nil && spoiled && keys.mode != ua.MessageSecurityModeNone {
		t.Fatalf("a chunk changed on its way was taken: %x", b)
	}
	return err == nil
}

// FuzzOpen sends OpenSecureChannel messages to a server that has a key.
func FuzzOpen(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		f.Fatal(err)
	}
	cfg := &Config{Certificate: cert, Key: key, MaxMessage: 1 << 20, TokenLifetime: time.Hour, Verify: x509.ParseCertificate}
	for _, policy := range append(Policies(), ua.SecurityPolicyURINone) {
		h := uasc.NewAsymmetricSecurityHeader(policy, cert, uapolicy.Thumbprint(cert))
		seal := &asymmetric{header: h}
		if policy != ua.SecurityPolicyURINone {
			if seal.algo, err = uapolicy.Asymmetric(policy, key, &key.PublicKey); err != nil {
				f.Fatal(err)
			}
		} else {
			h = uasc.NewAsymmetricSecurityHeader(policy, nil, nil)
			seal.header = h
		}
		req := &ua.OpenSecureChannelRequest{
			RequestHeader: &ua.RequestHeader{AuthenticationToken: ua.NewTwoByteNodeID(0), AdditionalHeader: ua.NewExtensionObject(nil)},
			SecurityMode:  ua.MessageSecurityModeSignAndEncrypt, ClientNonce: make([]byte, 32), RequestedLifetime: 1000,
		}
		body, err := ua.Encode(req)
		if err != nil {
			f.Fatal(err)
		}
		typ, err := ua.NewFourByteExpandedNodeID(0, ua.ServiceTypeID(req)).Encode()
		if err != nil {
			f.Fatal(err)
		}
		b, err := seal.seal(nil, 0, 1, 1, append(typ, body...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Conn{nc: quiet{}, cfg: cfg, id: 7, r: bufio.NewReader(bytes.NewReader(b)), queue: make([]answer, 0, 1)}
		c.wake.L = &c.mu
		for range 3 {
			if _, _, err := c.next(); err != nil {
				return
			}
		}
	})
}
