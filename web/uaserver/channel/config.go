package channel

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	chunkBytes       = 65_535            // largest chunk in both directions; the protocol's floor is 8,192
	minChunkBytes    = 8_192             // smallest buffer a client may announce
	maxHelloBytes    = 8 + 20 + 4 + 4096 // HELLO with the longest endpoint URL
	maxOpenBytes     = 32 << 10          // OpenSecureChannel with a certificate chain
	earlyBytes       = 256 << 10         // one request before a session is active: log-in, endpoints
	chunksPerBuffer  = 4                 // chunks of a request may be this much smaller than chunkBytes
	handshakeTime    = 10 * time.Second  // HELLO, and the first OpenSecureChannel
	messageTime      = 30 * time.Second  // the rest of a chunk once it began
	writeTime        = 5 * time.Second   // the kernel takes nothing for this long: the client has stopped reading
	maxQueuedBytes   = 32 << 20          // answers waiting for one client
	maxQueuedAnswers = 4096              // answers waiting for one client
	stallBytes       = 4 << 20           // with more waiting than this no further request is read
	tokenGrace       = 4                 // a token is taken a quarter of its life longer, as clients renew late
	maxRenewalLag    = 64                // sequence numbers a renewal may be behind the requests sent meanwhile
	minTokenLife     = time.Second       // shortest life of keys a client can ask for
)

// Config is what the connections of a server have in common.
type Config struct {
	Certificate   []byte          // DER; nil: only policy None
	Key           *rsa.PrivateKey // of Certificate
	Verify        func(der []byte) (*x509.Certificate, error)
	MaxMessage    int           // bytes of one request
	TokenLifetime time.Duration // longest life of keys granted
}

// Security is what protects the messages of a channel.
type Security struct {
	Policy      string
	Mode        ua.MessageSecurityMode
	Certificate *x509.Certificate // of the client; nil with policy None
}

// None reports whether the channel protects nothing.
func (s Security) None() bool { return s.Mode == ua.MessageSecurityModeNone }

// Policies lists the security policies a server with a certificate offers, weakest first.
func Policies() []string {
	return []string{ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes128Sha256RsaOaep, ua.SecurityPolicyURIAes256Sha256RsaPss}
}

func offered(policy string) bool {
	for _, p := range Policies() {
		if p == policy {
			return true
		}
	}
	return false
}

// Request is one complete message of the client.
type Request struct {
	ID   uint32
	Body []byte
}

// ErrClosed is the end of a connection that the client, or this side, closed in order.
var ErrClosed = errors.New("connection closed")

// protocolError is an error with the code that is sent to the client before the connection ends.
type protocolError struct {
	code   ua.StatusCode
	reason string
}

func (e *protocolError) Error() string { return fmt.Sprintf("%s: %s", e.code.Error(), e.reason) }
func (e *protocolError) Unwrap() error { return e.code }

func fail(code ua.StatusCode, format string, args ...any) error {
	return &protocolError{code, fmt.Sprintf(format, args...)}
}
