package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"scada/web/oidc"
)

// OIDC is a provider of OpenID Connect whose people may log in.
type OIDC struct {
	oidc.Config
	Name  string        // on the button
	Roles []OIDCRole    // what the roles at the provider are worth here; who has none of them may not log in
	Life  time.Duration // of a session; 0: as for other users
	// Origins are the web addresses a log-in may begin at and come back to; empty: [Config.Origins].
	Origins []string
}

// OIDCRole is what one role at the provider is worth.
type OIDCRole struct {
	Value string // of the claim for the roles
	Role  Role
	Areas map[string]Role
}

// federated begins the names of people a provider knows. No other name may begin so: nobody there can be taken for
// somebody of the plant.
const federated = "oidc:"

// federation is the provider and what its people may do.
type federation struct {
	OIDC
	client *oidc.Client
	key    []byte            // of what a log-in has to remember
	used   *nonces           // log-ins that came back
	digest []byte            // of who may do what: sessions are bound to it
	places map[string]string // host -> origin
}

func newFederation(cfg Config) (*federation, error) {
	if cfg.OIDC == nil {
		return nil, nil
	}
	f := &federation{OIDC: *cfg.OIDC, client: oidc.New(cfg.OIDC.Config), key: cfg.PairKey, used: newNonces(), places: map[string]string{}}
	if len(f.Roles) == 0 || len(f.Roles) > maxFederatedRoles {
		return nil, fmt.Errorf("web: oidc: %d roles, want 1 to %d", len(f.Roles), maxFederatedRoles)
	}
	for _, r := range f.Roles {
		if r.Value == "" || r.Role < Viewer || r.Role > Admin {
			return nil, fmt.Errorf("web: oidc: role %q is worth nothing", r.Value)
		}
	}
	if len(f.key) == 0 {
		f.key = []byte(rand.Text() + rand.Text())
	}
	if f.Life <= 0 || f.Life > sessionLife {
		f.Life = sessionLife
	}
	if len(f.Origins) == 0 {
		f.Origins = cfg.Origins
	}
	for _, o := range f.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || u.Path != "" {
			return nil, fmt.Errorf("web: oidc: %q is not an origin", o)
		}
		f.places[hostOf(u.Host)] = o
	}
	text, err := json.Marshal([]any{f.Issuer, f.ClientID, f.UserClaim, f.RoleClaim, f.Roles})
	if err != nil {
		return nil, fmt.Errorf("web: oidc: %w", err)
	}
	sum := sha256.Sum256(text)
	f.digest = sum[:]
	return f, nil
}

// hostOf leaves out what browsers leave out.
func hostOf(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80"))
}

// origin is the configured address the browser means with a host; a host header decides between those, and nothing else.
func (f *federation) origin(host string) (string, bool) {
	o, ok := f.places[hostOf(host)]
	return o, ok
}

// rules returns which of the rules somebody's roles meet, in order.
func (f *federation) rules(roles []string) []int {
	var met []int
	for i, r := range f.Roles {
		if slices.Contains(roles, r.Value) {
			met = append(met, i)
		}
	}
	return met
}

// account is what somebody may do who meets some of the rules: of several the one that grants most counts, in each area
// by itself.
func (f *federation) account(met []int, until time.Time) (account, bool) {
	if f == nil || len(met) == 0 {
		return account{}, false
	}
	acc := account{federated: met, until: until}
	for _, i := range met {
		if i < 0 || i >= len(f.Roles) {
			return account{}, false
		}
		acc.role = max(acc.role, f.Roles[i].Role)
		for area := range f.Roles[i].Areas {
			if acc.areas == nil {
				acc.areas = map[string]Role{}
			}
			acc.areas[area] = Nobody
		}
	}
	for area := range acc.areas {
		for _, i := range met {
			in := Actor{Role: f.Roles[i].Role, Areas: f.Roles[i].Areas}.In(area)
			acc.areas[area] = max(acc.areas[area], in)
		}
	}
	return acc, true
}

// lookUp returns what a user may do now who was let in with an account.
func (s *Server) lookUp(user string, was account) (account, bool) {
	if strings.HasPrefix(user, federated) {
		acc, ok := s.federation.account(was.federated, was.until)
		return acc, ok && s.now().Before(was.until)
	}
	acc, ok := s.accounts.Load().users.byName[user]
	return acc, ok
}
