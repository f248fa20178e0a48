package server

import (
	"crypto/x509"
	"fmt"

	"scada/cmd/internal/config"
	"scada/web"
	"scada/web/oidc"
	"scada/web/people"
)

// vouched gives the web server the provider whose people may log in, when the configuration names one.
func (s *Server) vouched(cfg *web.Config, opts Options) error {
	from := s.cfg.Web.OIDC
	if from == nil {
		return nil
	}
	out := &web.OIDC{
		Name: from.Name, Life: from.Session, Origins: from.Redirects,
		Config: oidc.Config{
			Issuer: from.Issuer, ClientID: from.ClientID, ClientSecret: from.ClientSecret, Scopes: from.Scopes, UserClaim: from.UserClaim, RoleClaim: from.RoleClaim, Dial: opts.Dial,
		},
	}
	if from.CA != nil {
		out.RootCAs = x509.NewCertPool()
		out.RootCAs.AppendCertsFromPEM(from.CA) // that there is a certificate was checked with the file
	}
	for _, r := range from.Roles {
		role, err := oidcRole(r)
		if err != nil {
			return fmt.Errorf("web.oidc: role %q: %w", r.Value, err)
		}
		out.Roles = append(out.Roles, role)
	}
	cfg.OIDC = out
	return nil
}

func oidcRole(r config.OIDCRole) (web.OIDCRole, error) {
	role, areas, err := webAccess(people.Access{Role: r.Role, Areas: r.Areas})
	return web.OIDCRole{Value: r.Value, Role: role, Areas: areas}, err
}
