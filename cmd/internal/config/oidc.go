package config

import (
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Bounds of the provider of OpenID Connect.
const (
	minOIDCSession = 5 * time.Minute
	maxOIDCSession = 12 * time.Hour
	maxOIDCRoles   = 64
	maxOIDCScopes  = 16
	maxOIDCText    = 256 // bytes
)

// OIDC is a provider of OpenID Connect whose people may log in.
type OIDC struct {
	Name, Issuer, ClientID string
	ClientSecret           string
	Scopes                 []string
	UserClaim, RoleClaim   string
	Roles                  []OIDCRole
	CA                     []byte // PEM; nil: the system's authorities
	Session                time.Duration
	Redirects              []string // web addresses a log-in comes back to; empty: the origins
}

// OIDCRole is what one value of the claim for the roles is worth.
type OIDCRole struct {
	Value, Role string
	Areas       map[string]string // area -> the role there instead
}

type oidcFile struct {
	Name             string         `yaml:"name"`
	Issuer           string         `yaml:"issuer"`
	ClientID         string         `yaml:"client_id"`
	ClientSecretFile string         `yaml:"client_secret_file"`
	Scopes           []string       `yaml:"scopes"`
	UserClaim        string         `yaml:"user_claim"`
	RoleClaim        string         `yaml:"role_claim"`
	Roles            []oidcRoleFile `yaml:"roles"`
	CAFile           string         `yaml:"ca_file"`
	Session          time.Duration  `yaml:"session"`
	Redirects        []string       `yaml:"redirects"`
}

type oidcRoleFile struct {
	Value string            `yaml:"value"`
	Role  string            `yaml:"role"`
	Areas map[string]string `yaml:"areas"`
}

// oidc checks how people log in whom somebody else knows.
func (b *builder) oidc() {
	f := b.file.Web.OIDC
	if f == nil {
		return
	}
	const path = "web.oidc"
	out := &OIDC{
		Name: orDefault(f.Name, "OpenID Connect"), Issuer: f.Issuer, ClientID: f.ClientID, Scopes: f.Scopes, Redirects: f.Redirects,
		UserClaim: orDefault(f.UserClaim, "preferred_username"), RoleClaim: orDefault(f.RoleClaim, "groups"), Session: orDefault(f.Session, maxOIDCSession),
	}
	b.oidcAddress(path+".issuer", f.Issuer)
	for name, text := range map[string]string{"name": out.Name, "client_id": f.ClientID, "user_claim": out.UserClaim, "role_claim": out.RoleClaim} {
		if strings.TrimSpace(text) == "" || len(text) > maxOIDCText {
			b.failf(path+"."+name, "a text of 1 to %d bytes is required", maxOIDCText)
		}
	}
	if len(f.Scopes) > maxOIDCScopes || slices.ContainsFunc(f.Scopes, func(s string) bool { return s == "" || len(s) > maxOIDCText || strings.ContainsAny(s, " \"\\") }) {
		b.failf(path+".scopes", "at most %d words (openid is always asked for)", maxOIDCScopes)
	}
	if out.Session < minOIDCSession || out.Session > maxOIDCSession {
		b.failf(path+".session", "%s is outside %s .. %s", out.Session, minOIDCSession, maxOIDCSession)
	}
	for i, address := range f.Redirects {
		b.oidcAddress(index(path+".redirects", i), address)
		if u, err := url.Parse(address); err == nil && u.Path != "" {
			b.failf(index(path+".redirects", i), "%q: scheme, host and port only, as in https://node-a:8443", address)
		}
	}
	out.ClientSecret = b.secret(path+".client_secret_file", f.ClientSecretFile)
	if f.CAFile != "" {
		text := b.secret(path+".ca_file", f.CAFile)
		if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
			b.failf(path+".ca_file", "there is no certificate in %s", f.CAFile)
		}
		out.CA = []byte(text)
	}
	b.oidcRoles(path+".roles", f.Roles, out)
	b.config.Web.OIDC = out
}

// oidcAddress wants TLS: what the provider says is who somebody is.
func (b *builder) oidcAddress(path, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || !oneOf(u.Scheme, "https", "http") || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(address) > maxOIDCText:
		b.failf(path, "%q is not an address (https://host…)", address)
	case u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "1")) && !b.file.Web.Insecure:
		b.failf(path, "%q: https is required", address)
	}
}

func (b *builder) oidcRoles(path string, roles []oidcRoleFile, out *OIDC) {
	if len(roles) == 0 || len(roles) > maxOIDCRoles {
		b.failf(path, "1 to %d roles are required: who has none of them may not log in", maxOIDCRoles)
	}
	for i, r := range roles {
		at := index(path, i)
		if r.Value == "" || len(r.Value) > maxOIDCText {
			b.failf(at, "value: a text of 1 to %d bytes is required", maxOIDCText)
		}
		if !oneOf(r.Role, "viewer", "operator", "engineer", "admin") {
			b.failf(at+".role", "%q is none of viewer, operator, engineer, admin", r.Role)
		}
		b.areaRoles(at, r.Areas)
		out.Roles = append(out.Roles, OIDCRole(r))
	}
}
