package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Limits.
const (
	requestTimeout = 5 * time.Second // of one request to the provider
	finishTimeout  = 15 * time.Second
	maxAnswer      = 1 << 20         // bytes of an answer of the provider
	retryAfter     = 5 * time.Second // a provider that did not answer is asked again
	knownFor       = time.Hour       // its description is fetched again
	skew           = time.Minute     // the clocks may differ by
	maxTokenAge    = 10 * time.Minute
	maxCode        = 4 << 10 // bytes
	maxToken       = 64 << 10
	maxValues      = 1_000 // roles in a token
	maxSubject     = 255   // bytes, as the standard says
	maxHint        = 4 << 10
)

// Config is whom to ask, and as who.
type Config struct {
	Issuer       string // as the provider writes it
	ClientID     string
	ClientSecret string   // "" for a client without one: PKCE protects the code
	Scopes       []string // beside openid
	UserClaim    string   // holds the name; "" means preferred_username
	RoleClaim    string   // holds the groups or roles; a.b is b inside a. "" means groups

	RootCAs *x509.CertPool // nil: the system's
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Now     func() time.Time
}

// Flow is what one log-in has to remember until the browser comes back.
type Flow struct{ State, Nonce, Verifier string }

// ErrUnavailable is in the error when the provider could not be asked.
var ErrUnavailable = errors.New("the OpenID provider does not answer")

// Client asks one provider. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client

	mu     sync.Mutex // held while the provider is looked for: everybody needs it
	known  *provider
	failed error
	again  time.Time // when to look next
}

// provider is what its description says.
type provider struct {
	*goidc.Provider
	endSession string
	userInfo   bool
	style      oauth2.AuthStyle
}

// New returns a client. It asks nobody yet.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.UserClaim == "" {
		cfg.UserClaim = "preferred_username"
	}
	if cfg.RoleClaim == "" {
		cfg.RoleClaim = "groups"
	}
	transport := &http.Transport{
		DialContext: cfg.Dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs}, Proxy: http.ProxyFromEnvironment,
		TLSHandshakeTimeout: requestTimeout, ResponseHeaderTimeout: requestTimeout, DisableKeepAlives: true, MaxResponseHeaderBytes: maxToken,
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: bounded{transport}, Timeout: requestTimeout,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error { return fmt.Errorf("sent on to %s", r.URL.Host) },
	}}
}

// bounded cuts off answers that are too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// provider returns the description of the provider, fetched when it is not known or old. An old one serves on while a new
// one cannot be had.
func (c *Client) provider(ctx context.Context) (*provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	if now.Before(c.again) {
		return c.known, c.failed
	}
	// Who asked may give up; the next one needs it, too.
	ctx, cancel := context.WithTimeout(goidc.ClientContext(context.WithoutCancel(ctx), c.http), requestTimeout)
	defer cancel()
	p, err := c.discover(ctx)
	switch {
	case err == nil:
		c.known, c.failed, c.again = p, nil, now.Add(knownFor)
	case c.known != nil:
		c.again = now.Add(retryAfter)
	default:
		c.failed, c.again = fmt.Errorf("%w: %w", ErrUnavailable, err), now.Add(retryAfter)
	}
	return c.known, c.failed
}

func (c *Client) discover(ctx context.Context) (*provider, error) {
	p, err := goidc.NewProvider(ctx, c.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		EndSession string   `json:"end_session_endpoint"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := p.Claims(&more); err != nil {
		return nil, fmt.Errorf("description of the provider: %w", err)
	}
	for _, address := range []string{p.Endpoint().AuthURL, p.Endpoint().TokenURL} {
		if !isWeb(address) {
			return nil, fmt.Errorf("description of the provider: %q is not a web address", address)
		}
	}
	out := &provider{Provider: p, userInfo: p.UserInfoEndpoint() != "", style: oauth2.AuthStyleInHeader}
	if isWeb(more.EndSession) {
		out.endSession = more.EndSession
	}
	if c.cfg.ClientSecret == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		out.style = oauth2.AuthStyleInParams
	}
	return out, nil
}

// isWeb keeps out what a browser must not be sent to.
func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http")
}

func (c *Client) oauth(p *provider, redirect string) *oauth2.Config {
	endpoint := p.Endpoint()
	endpoint.AuthStyle = p.style
	return &oauth2.Config{ClientID: c.cfg.ClientID, ClientSecret: c.cfg.ClientSecret, Endpoint: endpoint, RedirectURL: redirect,
		Scopes: append([]string{goidc.ScopeOpenID}, c.cfg.Scopes...)}
}

// Begin returns the address of the provider to send the browser to; it comes back to redirect.
func (c *Client) Begin(ctx context.Context, redirect string, f Flow) (string, error) {
	p, err := c.provider(ctx)
	if err != nil {
		return "", err
	}
	return c.oauth(p, redirect).AuthCodeURL(f.State, goidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// Logout returns the address that ends the session at the provider, "" when it offers none. back is where the browser
// goes then. It asks nobody: a provider that is not known yet has no session that began here.
func (c *Client) Logout(idToken, back string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || c.known.endSession == "" {
		return ""
	}
	u, err := url.Parse(c.known.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", c.cfg.ClientID)
	q.Set("post_logout_redirect_uri", back)
	if idToken != "" && len(idToken) <= maxHint {
		q.Set("id_token_hint", idToken)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Issuer is who vouches for the people.
func (c *Client) Issuer() string { return c.cfg.Issuer }
