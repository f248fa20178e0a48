package opcua

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"
)

// sessionTimeout is how long the server keeps a session it hears nothing of.
const sessionTimeout = 30 * time.Second

// maxPasswordBytes bounds the password file.
const maxPasswordBytes = 1024

var errNoEndpoint = errors.New("the server offers no such endpoint")

// connect opens a channel of the configured security and logs in.
func (s *Source) connect(ctx context.Context) (*channel, error) {
	with, err := s.agree(ctx)
	if err != nil {
		return nil, err
	}
	return s.enter(ctx, with)
}

// agree finds out which security the channel has.
func (s *Source) agree(ctx context.Context) (security, error) {
	if s.device.Security == "None" {
		return plain, nil
	}
	return s.negotiate(ctx)
}

// enter opens a channel and makes a session.
func (s *Source) enter(ctx context.Context, with security) (*channel, error) {
	c, err := s.open(ctx, with)
	if err != nil {
		return nil, err
	}
	if err := s.login(ctx, c, with); err != nil {
		c.close()
		return nil, fmt.Errorf("logging in: %w", err)
	}
	return c, nil
}

// negotiate asks the server for its endpoints and decides on its certificate.
func (s *Source) negotiate(ctx context.Context) (security, error) {
	if s.o.Identity == nil {
		return security{}, errors.New("a secure channel needs an application certificate of our own")
	}
	c, err := s.open(ctx, plain)
	if err != nil {
		return security{}, err
	}
	defer c.close()
	res, err := call[*ua.GetEndpointsResponse](ctx, c, &ua.GetEndpointsRequest{EndpointURL: s.device.Endpoint})
	if err != nil {
		return security{}, fmt.Errorf("asking for endpoints: %w", err)
	}
	mode := ua.MessageSecurityModeFromString(s.device.Mode)
	for _, e := range res.Endpoints {
		if e == nil || e.SecurityPolicyURI != ua.FormatSecurityPolicyURI(s.device.Security) || e.SecurityMode != mode {
			continue
		}
		if err := s.trust(e.ServerCertificate); err != nil {
			return security{}, err
		}
		return security{policy: e.SecurityPolicyURI, mode: mode, certificate: e.ServerCertificate}, nil
	}
	return security{}, fmt.Errorf("%w: %s %s", errNoEndpoint, s.device.Security, s.device.Mode)
}

// login makes and activates a session.
func (s *Source) login(ctx context.Context, c *channel, with security) (err error) {
	defer rescue(&err)
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce) // crypto/rand does not fail
	uri := "urn:scada:client"
	var certificate []byte
	if s.o.Identity != nil && with.certificate != nil {
		uri, certificate = s.o.Identity.ApplicationURI, s.o.Identity.Certificate
	}
	made, err := call[*ua.CreateSessionResponse](ctx, c, &ua.CreateSessionRequest{
		ClientDescription: &ua.ApplicationDescription{
			ApplicationURI: uri, ApplicationName: ua.NewLocalizedText("scada"), ApplicationType: ua.ApplicationTypeClient,
		},
		EndpointURL: s.device.Endpoint, SessionName: "scada " + s.device.Name, ClientNonce: nonce, ClientCertificate: certificate,
		RequestedSessionTimeout: float64(sessionTimeout.Milliseconds()), MaxResponseMessageSize: maxMessage,
	})
	if err != nil {
		return err
	}
	if with.certificate != nil {
		if !bytes.Equal(made.ServerCertificate, with.certificate) || made.ServerSignature == nil {
			return fmt.Errorf("%w: the session has another certificate than the channel", errHostile)
		}
		if err := c.sc.VerifySessionSignature(made.ServerCertificate, nonce, made.ServerSignature.Signature); err != nil {
			return fmt.Errorf("%w: signature of the session: %w", errHostile, err)
		}
	}
	return s.activate(ctx, c, made, with)
}

// activate says who we are in a session, and that it belongs to this channel from now on.
func (s *Source) activate(ctx context.Context, c *channel, made *ua.CreateSessionResponse, with security) error {
	token, err := s.identityToken(c, made, with)
	if err != nil {
		return err
	}
	signature, algorithm, err := c.sc.NewSessionSignature(made.ServerCertificate, made.ServerNonce)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	c.token = made.AuthenticationToken
	res, err := call[*ua.ActivateSessionResponse](ctx, c, &ua.ActivateSessionRequest{
		ClientSignature: &ua.SignatureData{Algorithm: algorithm, Signature: signature}, LocaleIDs: []string{"en"},
		UserIdentityToken: ua.NewExtensionObject(token), UserTokenSignature: &ua.SignatureData{},
	})
	if err != nil {
		return err
	}
	made.ServerNonce, c.made = res.ServerNonce, made
	return nil
}

// identityToken says who we are, in the way the server asks for.
func (s *Source) identityToken(c *channel, made *ua.CreateSessionResponse, with security) (any, error) {
	want := ua.UserTokenTypeAnonymous
	if s.device.User != "" {
		want = ua.UserTokenTypeUserName
	}
	policy := tokenPolicy(made.ServerEndpoints, with, want)
	if policy == nil && want == ua.UserTokenTypeAnonymous {
		return &ua.AnonymousIdentityToken{PolicyID: "Anonymous"}, nil // servers that list none mean this one
	}
	if policy == nil {
		return nil, fmt.Errorf("%w: one that takes a user name", errNoEndpoint)
	}
	if want == ua.UserTokenTypeAnonymous {
		return &ua.AnonymousIdentityToken{PolicyID: policy.PolicyID}, nil
	}
	uri := policy.SecurityPolicyURI
	if uri == "" {
		uri = with.policy
	}
	if uri == ua.SecurityPolicyURINone && with.mode != ua.MessageSecurityModeSignAndEncrypt {
		return nil, errors.New("the server wants the password in clear over an open line; it is not sent")
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	secret, algorithm, err := c.sc.EncryptUserPassword(uri, password, made.ServerCertificate, made.ServerNonce)
	if err != nil {
		return nil, fmt.Errorf("encrypting the password: %w", err)
	}
	return &ua.UserNameIdentityToken{PolicyID: policy.PolicyID, UserName: s.device.User, Password: secret, EncryptionAlgorithm: algorithm}, nil
}

func tokenPolicy(endpoints []*ua.EndpointDescription, with security, want ua.UserTokenType) *ua.UserTokenPolicy {
	for _, e := range endpoints {
		if e == nil || e.SecurityPolicyURI != with.policy || e.SecurityMode != with.mode {
			continue
		}
		if i := slices.IndexFunc(e.UserIdentityTokens, func(p *ua.UserTokenPolicy) bool { return p != nil && p.TokenType == want }); i >= 0 {
			return e.UserIdentityTokens[i]
		}
	}
	return nil
}

func (s *Source) password() (string, error) {
	if s.device.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(s.device.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	if len(b) > maxPasswordBytes {
		return "", fmt.Errorf("reading the password: %s has %d bytes, the limit is %d", s.device.PasswordFile, len(b), maxPasswordBytes)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
