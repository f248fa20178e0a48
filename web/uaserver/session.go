package uaserver

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"

	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
)

const (
	minSessionTimeout = 10 * time.Second
	notActivatedTime  = 30 * time.Second // a session that nobody logs in to is kept this long
	logInTime         = 10 * time.Second // the backend's answer to a log-in
	secretBytes       = 32               // authentication tokens and nonces
	maxPasswordBytes  = 1 << 10
	maxNameBytes      = 256 // user and session names
	maxURLBytes       = 1 << 10
)

// session is what CreateSession makes. Fields without a comment are set once or belong to the connection's goroutine.
type session struct {
	id      *ua.NodeID
	token   string
	name    string
	host    string        // the address of the client that made it
	timeout time.Duration // guarded by the server's lock
	granted time.Duration // timeout once logged in
	client  *monitor.Client
	raw     []byte       // client certificate
	seen    atomic.Int64 // UnixNano of the last request

	// Guarded by the server's lock.
	conn      *conn // nil: the connection ended, the client may come back on another
	activated bool
	user      User
	anonymous bool
	here      bool // told of as connected

	past past // for the diagnostics

	mu    sync.Mutex // one activation and one Browse at a time, should the client use two connections
	nonce []byte     // the client signs it at the next activation
	cps   map[string]*continuation

	history map[string]*historyPoint // unfinished reads of the archive by their continuation points; guarded by mu
}

// unbind takes a session off its connection. The server's lock is held.
func (s *Server) unbind(x *session) {
	if x.conn == nil {
		return
	}
	if x.conn.sessions.Add(-1) == 0 && x.conn.ch != nil {
		x.conn.ch.SetActive(false)
		x.conn.since = time.Now()
	}
	x.conn = nil
}

// find returns the session a request names, if it may be used on this channel.
func (s *Server) find(k *call, n need) (*session, ua.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[string(k.h.Token.Text)]
	switch {
	case x == nil || k.h.Token.Kind != ua.NodeIDTypeByteString || k.h.Token.Namespace != space.NamespaceServer:
		return nil, ua.StatusBadSessionIDInvalid
	case n == activeSession && x.conn != k.c:
		return nil, ua.StatusBadSecureChannelIDInvalid
	case n == activeSession && !x.activated:
		return nil, ua.StatusBadSessionNotActivated
	}
	x.seen.Store(time.Now().UnixNano())
	k.user = x.user
	return x, ua.StatusOK
}

// userOf returns who a session acts for.
func (s *Server) userOf(x *session) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.user
}

func secret() []byte {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts instead
	return b
}

func (k *call) createSession(req *ua.CreateSessionRequest) (ua.Response, error) {
	if err := k.checkCreate(req); err != nil {
		k.s.counts.rejectedSecurity.Add(1)
		return nil, err
	}
	timeout := time.Duration(min(max(req.RequestedSessionTimeout, 0), 1e9)) * time.Millisecond
	if timeout <= 0 || timeout > k.s.cfg.Limits.SessionTimeout {
		timeout = k.s.cfg.Limits.SessionTimeout
	}
	timeout = max(timeout, minSessionTimeout)
	x := &session{
		id: ua.NewByteStringNodeID(space.NamespaceServer, secret()[:16]), token: string(secret()), name: truncate(req.SessionName), host: k.c.host,
		timeout: min(timeout, notActivatedTime), client: k.s.engine.NewClient(), raw: k.c.ch.RawCertificate(),
		nonce: secret(), cps: map[string]*continuation{}, history: map[string]*historyPoint{}, granted: timeout,
	}
	x.past.open(req, k.c)
	x.seen.Store(time.Now().UnixNano())
	if !k.s.addSession(x, k.c) {
		k.s.counts.rejected.Add(1)
		return nil, ua.StatusBadTooManySessions
	}
	signature, err := k.sign(req.ClientCertificate, req.ClientNonce)
	if err != nil {
		return nil, err
	}
	k.s.counts.sessions.Add(1)
	resp := &ua.CreateSessionResponse{
		SessionID: x.id, AuthenticationToken: ua.NewByteStringNodeID(space.NamespaceServer, []byte(x.token)),
		RevisedSessionTimeout: float64(timeout / time.Millisecond), ServerNonce: x.nonce,
		ServerEndpoints: k.s.endpoints(req.EndpointURL), ServerSoftwareCertificates: []*ua.SignedSoftwareCertificate{},
		ServerSignature: signature, MaxRequestMessageSize: uint32(k.s.cfg.Limits.MessageBytes),
	}
	if k.s.cfg.Identity != nil {
		resp.ServerCertificate = k.s.cfg.Identity.Certificate
	}
	return resp, nil
}

func truncate(s string) string {
	if len(s) > maxNameBytes {
		return s[:maxNameBytes]
	}
	return s
}

// checkCreate checks that the client is who its channel says it is.
func (k *call) checkCreate(req *ua.CreateSessionRequest) error {
	if len(req.EndpointURL) > maxURLBytes {
		return ua.StatusBadTCPEndpointURLInvalid
	}
	security := k.c.ch.Security()
	if security.None() {
		return nil
	}
	if len(req.ClientNonce) < secretBytes {
		return ua.StatusBadNonceInvalid
	}
	if cert, err := uapolicy.ParseCertificate(req.ClientCertificate); err != nil || !bytes.Equal(cert.Raw, security.Certificate.Raw) {
		return ua.StatusBadCertificateInvalid
	}
	same := func(u *url.URL) bool { return u.String() == req.ClientDescription.ApplicationURI }
	if !slices.ContainsFunc(security.Certificate.URIs, same) {
		return ua.StatusBadCertificateURIInvalid
	}
	return nil
}

// sign proves to the client that this server has the key of its certificate.
func (k *call) sign(cert, nonce []byte) (*ua.SignatureData, error) {
	security := k.c.ch.Security()
	if security.None() {
		return &ua.SignatureData{}, nil
	}
	algo, err := k.algorithm(security.Policy)
	if err != nil {
		return nil, err
	}
	signature, err := algo.Signature(append(bytes.Clone(cert), nonce...))
	if err != nil {
		return nil, fmt.Errorf("sign session: %w", err)
	}
	return &ua.SignatureData{Algorithm: algo.SignatureURI(), Signature: signature}, nil
}

func (k *call) algorithm(policy string) (*uapolicy.EncryptionAlgorithm, error) {
	var remote *rsa.PublicKey
	if cert := k.c.ch.Security().Certificate; cert != nil {
		remote, _ = cert.PublicKey.(*rsa.PublicKey) // checked when the channel was opened
	}
	algo, err := uapolicy.Asymmetric(policy, k.s.cfg.Identity.Key, remote)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ua.StatusBadSecurityPolicyRejected, err)
	}
	return algo, nil
}

func (k *call) activateSession(req *ua.ActivateSessionRequest) (ua.Response, error) {
	x := k.x
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := k.checkActivate(x, req); err != nil {
		k.s.counts.rejectedSecurity.Add(1)
		return nil, err
	}
	user, anonymous, err := k.logIn(x, req)
	if err != nil {
		k.s.counts.rejectedSecurity.Add(1)
		k.s.log.Warn("OPC UA log-in refused", "remote", k.c.nc.RemoteAddr(), "user", truncate(user.Name), "error", err)
		if k.c.failures++; k.c.failures >= maxLogInFailures {
			_ = k.fault(statusOf(err)) // the connection ends either way
			return nil, errEnd
		}
		return nil, err
	}
	user.Address = k.c.address()
	if !k.s.bind(x, k.c, user, anonymous) {
		return nil, ua.StatusBadSessionIDInvalid
	}
	k.s.noteUser(x, user, req.UserIdentityToken.Value)
	x.client.SetOwner(k.owner(x, user, anonymous))
	k.c.failures = 0
	k.c.ch.SetActive(true)
	x.nonce = secret()
	k.s.log.Info("OPC UA session", "remote", k.c.nc.RemoteAddr(), "name", x.name, "user", user.Name, "policy", k.c.ch.Security().Policy)
	return &ua.ActivateSessionResponse{ServerNonce: x.nonce, Results: []ua.StatusCode{}, DiagnosticInfos: []*ua.DiagnosticInfo{}}, nil
}

// owner tells the sessions of one user from those of others. Of sessions without a user only those of one application
// belong together, and where the channel does not prove the application each is for itself (OPC 10000-4, 5.14.7).
func (k *call) owner(x *session, u User, anonymous bool) string {
	switch cert := k.c.ch.Security().Certificate; {
	case !anonymous:
		return "user " + u.Name
	case cert != nil:
		return "application " + string(cert.Raw)
	}
	return "session " + x.token
}

// bind activates a session on a connection; it reports false if the session ended meanwhile.
func (s *Server) bind(x *session, c *conn, user User, anonymous bool) bool {
	s.mu.Lock()
	if s.sessions[x.token] != x {
		s.mu.Unlock()
		return false
	}
	if x.conn != c {
		s.unbind(x)
		x.conn = c
		c.sessions.Add(1)
	}
	x.user, x.anonymous, x.activated, x.timeout = user, anonymous, true, x.granted
	came, changed := x.present(ClientConnected, "")
	s.mu.Unlock()
	s.tell(came, changed)
	return true
}

// checkActivate checks the client's signature over this server's certificate and last nonce.
func (k *call) checkActivate(x *session, req *ua.ActivateSessionRequest) error {
	k.s.mu.Lock()
	other, activated := x.conn != k.c, x.activated
	k.s.mu.Unlock()
	if other && (!activated || !bytes.Equal(x.raw, k.c.ch.RawCertificate())) {
		return ua.StatusBadSecureChannelIDInvalid
	}
	security := k.c.ch.Security()
	if security.None() {
		if !k.s.cfg.AllowNone {
			return ua.StatusBadSecurityPolicyRejected
		}
		return nil
	}
	algo, err := k.algorithm(security.Policy)
	if err != nil {
		return err
	}
	signed := append(bytes.Clone(k.s.cfg.Identity.Certificate), x.nonce...)
	if err := algo.VerifySignature(signed, req.ClientSignature.Signature); err != nil {
		return ua.StatusBadApplicationSignatureInvalid
	}
	return nil
}

// logIn finds out who the client acts for. On an error the user has the name that was refused.
func (k *call) logIn(x *session, req *ua.ActivateSessionRequest) (user User, anonymous bool, err error) {
	switch t := req.UserIdentityToken.Value.(type) {
	case nil, *ua.AnonymousIdentityToken:
		if !k.s.cfg.AllowAnonymous {
			return user, true, ua.StatusBadIdentityTokenRejected
		}
		return User{MayWrite: k.s.cfg.AnonymousMayWrite}, true, nil
	case *ua.UserNameIdentityToken:
		user.Name = t.UserName
		password, err := k.password(x, t)
		if err != nil {
			return user, false, err
		}
		if t.UserName == "" || len(t.UserName) > maxNameBytes {
			return user, false, ua.StatusBadUserAccessDenied
		}
		ctx, cancel := k.logInContext()
		defer cancel()
		known, err := k.s.backend.Authenticate(ctx, t.UserName, password)
		if err != nil {
			return user, false, err
		}
		return known, false, nil
	case *ua.X509IdentityToken:
		user, err = k.certificateUser(x, t, req.UserTokenSignature)
		return user, false, err
	}
	return user, false, ua.StatusBadIdentityTokenInvalid
}

// password decrypts the password of a token: its length, the password, and the server's nonce, so that it cannot be
// used again. Only where the server has no certificate, or the channel encrypts, may it come in the clear.
func (k *call) password(x *session, t *ua.UserNameIdentityToken) (string, error) {
	policy := k.c.ch.Security().Policy
	if t.EncryptionAlgorithm == "" {
		encrypted := k.c.ch.Security().Mode == ua.MessageSecurityModeSignAndEncrypt
		if (k.s.cfg.Identity != nil && !encrypted) || len(t.Password) > maxPasswordBytes {
			return "", ua.StatusBadIdentityTokenRejected
		}
		return string(t.Password), nil
	}
	if k.s.cfg.Identity == nil {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	if policy == ua.SecurityPolicyURINone {
		policy = tokenPolicy
	}
	algo, err := k.algorithm(policy)
	if err != nil || algo.EncryptionURI() != t.EncryptionAlgorithm {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	plain, err := algo.Decrypt(t.Password)
	if err != nil || len(plain) < 4+len(x.nonce) {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	n := int(binary.LittleEndian.Uint32(plain))
	if n < len(x.nonce) || n > len(plain)-4 || n-len(x.nonce) > maxPasswordBytes {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	secret, nonce := plain[4:4+n-len(x.nonce)], plain[4+n-len(x.nonce):4+n]
	if !bytes.Equal(nonce, x.nonce) {
		return "", ua.StatusBadIdentityTokenInvalid
	}
	return string(secret), nil
}

func (k *call) closeSession(req *ua.CloseSessionRequest) (ua.Response, error) {
	k.s.mu.Lock()
	if k.x.conn != k.c {
		k.s.mu.Unlock()
		return nil, ua.StatusBadSecureChannelIDInvalid
	}
	k.s.unbind(k.x)
	delete(k.s.sessions, k.x.token)
	left, changed := k.x.present(ClientLeft, "")
	k.s.mu.Unlock()
	k.x.client.Close(req.DeleteSubscriptions, ua.StatusBadSessionClosed)
	k.s.tell(left, changed)
	return &ua.CloseSessionResponse{}, nil
}
