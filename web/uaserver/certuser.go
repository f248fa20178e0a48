package uaserver

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"

	"scada/acquisition/tag"
)

// CertificateUsers is a [Backend] that knows its users by certificates, too. They are offered with [Config.UserTrust].
type CertificateUsers interface {
	// UserOfCertificate returns whose certificate this is. It was found on the trust list, and the client has its key.
	// An error wrapping [ErrUserAccessDenied] is a refusal.
	UserOfCertificate(ctx context.Context, cert *x509.Certificate) (User, error)
}

// certificateUsers returns the backend's way to know users by certificates, or nil if they are not offered.
func (s *Server) certificateUsers() CertificateUsers {
	users, ok := s.backend.(CertificateUsers)
	if !ok || s.cfg.UserTrust == nil || s.cfg.Identity == nil {
		return nil
	}
	return users
}

// certificateUser finds out whose certificate a token is, after the client has proved that it has the key: it signed
// this server's certificate and last nonce.
func (k *call) certificateUser(x *session, t *ua.X509IdentityToken, proof *ua.SignatureData) (User, error) {
	users := k.s.certificateUsers()
	if users == nil {
		return User{}, ua.StatusBadIdentityTokenRejected
	}
	cert, err := k.s.cfg.UserTrust.Verify(t.CertificateData)
	if err != nil {
		return User{}, WithStatus(tag.Quality(ua.StatusBadIdentityTokenRejected), err)
	}
	user := User{Name: truncate(cert.Subject.CommonName)}
	policy := k.c.ch.Security().Policy
	if policy == ua.SecurityPolicyURINone {
		policy = tokenPolicy
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || proof == nil {
		return user, ua.StatusBadIdentityTokenInvalid
	}
	algo, err := uapolicy.Asymmetric(policy, k.s.cfg.Identity.Key, key)
	if err != nil {
		return user, fmt.Errorf("%w: %w", ua.StatusBadIdentityTokenInvalid, err)
	}
	if err := algo.VerifySignature(append(bytes.Clone(k.s.cfg.Identity.Certificate), x.nonce...), proof.Signature); err != nil {
		return user, ua.StatusBadUserSignatureInvalid
	}
	ctx, cancel := k.logInContext()
	defer cancel()
	known, err := users.UserOfCertificate(ctx, cert)
	if err != nil {
		return user, err
	}
	return known, nil
}
