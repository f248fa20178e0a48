package uaserver_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver"
)

// badges is a plant that knows users by their certificates.
type badges struct{ *plant }

func (badges) UserOfCertificate(_ context.Context, cert *x509.Certificate) (uaserver.User, error) {
	if cert.Subject.CommonName != "urn:test:operator" {
		return uaserver.User{}, fmt.Errorf("%w: %s", uaserver.ErrUserAccessDenied, cert.Subject)
	}
	return uaserver.User{Name: "operator", MayWrite: true}, nil
}

func TestUserCertificates(t *testing.T) {
	trust, err := uaserver.OpenTrustList(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	f := startWith(t, badges{newPlant(0)}, func(cfg *uaserver.Config) { cfg.UserTrust = trust })
	operator, visitor, thief := certificateOf(t, "urn:test:operator"), certificateOf(t, "urn:test:visitor"), certificateOf(t, "urn:test:thief")
	endpoints, err := opcua.GetEndpoints(limited(t), f.url)
	if err != nil {
		t.Fatal(err)
	}
	with := func(policy string, cert, key *uaserver.Identity) []opcua.Option {
		client := certificateOf(t, "urn:test:client")
		for _, e := range endpoints {
			if e.SecurityPolicyURI == policy && e.SecurityMode != ua.MessageSecurityModeSign {
				opts := []opcua.Option{opcua.AuthCertificate(cert.Certificate), opcua.AuthPrivateKey(key.Key), opcua.SecurityFromEndpoint(e, ua.UserTokenTypeCertificate)}
				if policy != ua.SecurityPolicyURINone {
					opts = append(opts, opcua.ApplicationURI("urn:test:client"), opcua.PrivateKey(client.Key), opcua.Certificate(client.Certificate))
				}
				return opts
			}
		}
		t.Fatalf("no endpoint with %s", policy)
		return nil
	}
	const policy = ua.SecurityPolicyURIBasic256Sha256
	_, err = f.tryConnect(t, with(policy, operator, operator)...)
	wantStatus(t, "a certificate that is not trusted", err, ua.StatusBadIdentityTokenRejected)
	for _, c := range []*uaserver.Identity{operator, visitor} {
		if err := trust.Add(c.Certificate); err != nil {
			t.Fatal(err)
		}
	}
	for _, policy := range []string{policy, ua.SecurityPolicyURIAes256Sha256RsaPss} {
		c := f.connect(t, with(policy, operator, operator)...)
		if got := write(t, c, node("line1/pump1/speed"), 12.5); got != ua.StatusOK {
			t.Errorf("%s: the operator writes: %v", policy, got)
		}
	}
	_, err = f.tryConnect(t, with(policy, operator, thief)...)
	wantStatus(t, "a certificate without its key", err, ua.StatusBadUserSignatureInvalid)
	_, err = f.tryConnect(t, with(policy, visitor, visitor)...)
	wantStatus(t, "a certificate of nobody the plant knows", err, ua.StatusBadUserAccessDenied)
}

// TestUserCertificatesAreOfferedOnRequestOnly: a server without a trust list for them does not name them.
func TestUserCertificatesAreOfferedOnRequestOnly(t *testing.T) {
	f := startWith(t, badges{newPlant(0)}, nil)
	endpoints, err := opcua.GetEndpoints(limited(t), f.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		for _, p := range e.UserIdentityTokens {
			if p.TokenType == ua.UserTokenTypeCertificate {
				t.Errorf("%s offers certificates", e.SecurityPolicyURI)
			}
		}
	}
}
