package channel

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"
	"github.com/gopcua/opcua/uasc"

	"scada/web/uaserver/guard"
)

// open handles OpenSecureChannel: the first one issues keys, later ones renew them.
func (c *Conn) open(f frame) error {
	if f.chunk() != uasc.ChunkTypeFinal || len(f) > maxOpenBytes || len(f) < 12 {
		return fail(ua.StatusBadTCPMessageTooLarge, "OpenSecureChannel of %d bytes, chunk type %q", len(f), f.chunk())
	}
	channel := binary.LittleEndian.Uint32(f[8:])
	if (c.opened && channel != c.id) || (!c.opened && channel != 0) {
		return fail(ua.StatusBadTCPSecureChannelUnknown, "OpenSecureChannel for channel %d", channel)
	}
	var h uasc.AsymmetricSecurityHeader
	n, err := h.Decode(f[12:])
	if err != nil {
		return fail(ua.StatusBadDecodingError, "OpenSecureChannel: %v", err)
	}
	security, algo, err := c.judge(&h)
	if err != nil {
		return err
	}
	plain := []byte(f[12+n:])
	if algo != nil {
		long := c.cfg.Key.Size() > longKeyBytes
		if plain, err = unsealWith(algo, f, 12+n, true, long); err != nil {
			return err
		}
	} else if len(plain) < sequenceBytes {
		return fail(ua.StatusBadDecodingError, "OpenSecureChannel of %d bytes", len(f))
	}
	if err := c.openSequence(binary.LittleEndian.Uint32(plain)); err != nil {
		return err
	}
	req, err := decodeOpen(plain[sequenceBytes:])
	if err != nil {
		return err
	}
	seal := &asymmetric{header: uasc.NewAsymmetricSecurityHeader(h.SecurityPolicyURI, nil, nil), algo: algo}
	if algo != nil {
		seal.header.SenderCertificate = c.cfg.Certificate
		seal.header.ReceiverCertificateThumbprint = uapolicy.Thumbprint(h.SenderCertificate)
	}
	return c.issue(security, h.SenderCertificate, req, seal, binary.LittleEndian.Uint32(plain[4:]))
}

// judge decides on policy and certificate before any key is used on what the client sent.
func (c *Conn) judge(h *uasc.AsymmetricSecurityHeader) (Security, *uapolicy.EncryptionAlgorithm, error) {
	s := Security{Policy: h.SecurityPolicyURI}
	if c.opened && (s.Policy != c.security.Policy || !bytes.Equal(h.SenderCertificate, c.raw)) {
		return s, nil, fail(ua.StatusBadSecurityChecksFailed, "renewal with another policy or certificate")
	}
	if s.Policy == ua.SecurityPolicyURINone {
		return s, nil, nil
	}
	if c.cfg.Key == nil || !offered(s.Policy) {
		return s, nil, fail(ua.StatusBadSecurityPolicyRejected, "policy %q", s.Policy)
	}
	if !bytes.Equal(h.ReceiverCertificateThumbprint, uapolicy.Thumbprint(c.cfg.Certificate)) {
		return s, nil, fail(ua.StatusBadCertificateInvalid, "meant for another server's certificate")
	}
	cert, err := c.cfg.Verify(h.SenderCertificate)
	if err != nil {
		var code ua.StatusCode
		if !errors.As(err, &code) {
			code = ua.StatusBadSecurityChecksFailed
		}
		return s, nil, fail(code, "%v", err)
	}
	s.Certificate = cert
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return s, nil, fail(ua.StatusBadCertificateInvalid, "not an RSA key")
	}
	algo, err := uapolicy.Asymmetric(s.Policy, c.cfg.Key, key)
	if err != nil {
		return s, nil, fail(ua.StatusBadCertificateInvalid, "%v", err)
	}
	return s, algo, nil
}

func decodeOpen(body []byte) (*ua.OpenSecureChannelRequest, error) {
	var typ ua.ExpandedNodeID
	n, err := guard.Check(body, &typ)
	if err == nil {
		_, err = guard.Check(body[n:], &ua.OpenSecureChannelRequest{})
	}
	if err != nil {
		return nil, fail(ua.StatusBadDecodingError, "OpenSecureChannel: %v", err)
	}
	_, service, err := ua.DecodeService(body)
	req, ok := service.(*ua.OpenSecureChannelRequest)
	if err != nil || !ok {
		return nil, fail(ua.StatusBadDecodingError, "%T in OpenSecureChannel: %v", service, err)
	}
	return req, nil
}

// issue makes new keys and queues the answer that tells the client.
func (c *Conn) issue(s Security, raw []byte, req *ua.OpenSecureChannelRequest, seal *asymmetric, requestID uint32) error {
	s.Mode = req.SecurityMode
	if err := c.checkIssue(s, req, seal.algo); err != nil {
		return err
	}
	life := time.Duration(req.RequestedLifetime) * time.Millisecond
	if life = max(life, minTokenLife); life > c.cfg.TokenLifetime || req.RequestedLifetime == 0 {
		life = c.cfg.TokenLifetime
	}
	now := time.Now()
	c.nextID++
	t := &token{id: c.nextID, mode: s.Mode, expires: now.Add(life + life/tokenGrace), seqIn: c.seqIn}
	var nonce []byte
	var err error
	if seal.algo != nil {
		if nonce, err = seal.algo.MakeNonce(); err != nil {
			return fail(ua.StatusBadInternalError, "nonce: %v", err)
		}
		if t.algo, err = uapolicy.Symmetric(s.Policy, nonce, req.ClientNonce); err != nil {
			return fail(ua.StatusBadSecurityChecksFailed, "keys: %v", err)
		}
	}
	if !c.opened {
		c.opened, c.security, c.raw = true, s, raw
		c.sending.Store(t)
	}
	if c.tokens = append(c.tokens, t); len(c.tokens) > 2 {
		c.tokens = c.tokens[1:]
	}
	body, err := encodeOpen(req, c.id, t.id, now, life, nonce)
	if err != nil {
		return fail(ua.StatusBadInternalError, "encode: %v", err)
	}
	return c.enqueue(answer{id: requestID, body: body, seal: seal})
}

func (c *Conn) checkIssue(s Security, req *ua.OpenSecureChannelRequest, algo *uapolicy.EncryptionAlgorithm) error {
	secure := s.Mode == ua.MessageSecurityModeSign || s.Mode == ua.MessageSecurityModeSignAndEncrypt
	switch {
	case c.opened != (req.RequestType == ua.SecurityTokenRequestTypeRenew):
		return fail(ua.StatusBadRequestTypeInvalid, "request type %d", req.RequestType)
	case (algo != nil) != secure || (algo == nil && s.Mode != ua.MessageSecurityModeNone):
		return fail(ua.StatusBadSecurityModeRejected, "mode %d with policy %s", s.Mode, s.Policy)
	case c.opened && s.Mode != c.security.Mode:
		return fail(ua.StatusBadSecurityModeRejected, "renewal with another mode")
	case algo != nil && len(req.ClientNonce) != algo.NonceLength():
		return fail(ua.StatusBadNonceInvalid, "a nonce of %d bytes", len(req.ClientNonce))
	}
	return nil
}

func encodeOpen(req *ua.OpenSecureChannelRequest, channel, token uint32, now time.Time, life time.Duration, nonce []byte) ([]byte, error) {
	resp := &ua.OpenSecureChannelResponse{
		ResponseHeader: &ua.ResponseHeader{
			Timestamp: now, RequestHandle: req.RequestHeader.RequestHandle,
			ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil),
		},
		SecurityToken: &ua.ChannelSecurityToken{
			ChannelID: channel, TokenID: token, CreatedAt: now, RevisedLifetime: uint32(life / time.Millisecond),
		},
		ServerNonce: nonce,
	}
	typ, err := ua.NewFourByteExpandedNodeID(0, ua.ServiceTypeID(resp)).Encode()
	if err != nil {
		return nil, err
	}
	body, err := ua.Encode(resp)
	return append(typ, body...), err
}
