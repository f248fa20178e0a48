package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
	"scada/web"
	"scada/web/api"
	"scada/web/uaserver"
)

// uaWriteWithin bounds a write of an OPC UA client, whose requests carry no deadline of the process.
const uaWriteWithin = 10 * time.Second

// uaBackend is the server as OPC UA clients see it.
type uaBackend struct{ *Server }

var (
	_ uaserver.Backend          = uaBackend{}
	_ uaserver.CertificateUsers = uaBackend{}
)

// Tags implements [uaserver.Backend].
func (b uaBackend) Tags() []tag.Definition { return b.cfg.Tags }

// Live implements [uaserver.Backend].
func (b uaBackend) Live() *live.Table { return b.live }

// ServiceLevel implements [uaserver.Backend].
func (b uaBackend) ServiceLevel() byte { return b.serviceLevel() }

// Servers implements [uaserver.Backend].
func (b uaBackend) Servers() []uaserver.ServerInfo {
	var out []uaserver.ServerInfo
	for _, name := range b.nodeNames {
		n := b.cfg.Nodes[name]
		if n.OPCUA == "" {
			continue
		}
		out = append(out, uaserver.ServerInfo{
			ApplicationURI: applicationURI(b.cfg.Project, name), Name: b.cfg.Project + " " + name, EndpointURLs: []string{"opc.tcp://" + n.OPCUA},
		})
	}
	return out
}

func applicationURI(project, node string) string { return "urn:scada:" + project + ":" + node }

// Authenticate implements [uaserver.Backend]: the users are those of the web.
func (b uaBackend) Authenticate(ctx context.Context, user, password string) (uaserver.User, error) {
	who, err := b.web.Authenticate(ctx, user, password, "opc ua")
	if err != nil {
		return uaserver.User{}, fmt.Errorf("%w: %w", uaserver.ErrUserAccessDenied, err)
	}
	return uaserver.User{Name: user, MayWrite: who.Role.May(web.TagWrite), MayOperateAlarms: who.Role.May(web.AlarmOperate)}, nil
}

// UserOfCertificate implements [uaserver.CertificateUsers]: the certificate is made out to a user of the web by name.
func (b uaBackend) UserOfCertificate(_ context.Context, cert *x509.Certificate) (uaserver.User, error) {
	name := cert.Subject.CommonName
	for _, u := range b.cfg.Users {
		if u.Name != name {
			continue
		}
		r, err := web.ParseRole(u.Role)
		if err != nil {
			return uaserver.User{}, fmt.Errorf("user %s: %w", name, err)
		}
		return uaserver.User{Name: name, MayWrite: r.May(web.TagWrite), MayOperateAlarms: r.May(web.AlarmOperate)}, nil
	}
	return uaserver.User{}, fmt.Errorf("%w: no user %q", uaserver.ErrUserAccessDenied, name)
}

// Write implements [uaserver.Backend].
func (b uaBackend) Write(ctx context.Context, user uaserver.User, def tag.Definition, value tag.Value) error {
	i, ok := slices.BinarySearchFunc(b.cfg.Tags, def.Name, func(d tag.Definition, name string) int { return strings.Compare(d.Name, name) })
	if !ok || !b.cfg.Tags[i].Writable {
		return uaserver.ErrNotWritable
	}
	def = b.cfg.Tags[i]
	if n := value.Number(); !def.Range.IsZero() && def.Type != tag.TypeString && (n < def.Range.Low || n > def.Range.High) {
		return uaserver.ErrOutOfRange
	}
	res, err := b.write(ctx, web.Actor{User: user.Name, Remote: "opc ua"}, web.Write{Tag: def, Value: value, Deadline: time.Now().Add(uaWriteWithin)})
	switch {
	case err == nil && res.Result == api.WriteConfirmed:
		return nil
	case err == nil:
		return uaserver.WithStatus(uncertainOutcome, fmt.Errorf("%s: %s", res.Result, res.Detail))
	}
	return uaProblem(err)
}

// uaProblem gives a refusal the status an OPC UA client understands.
func uaProblem(err error) error {
	var p *api.Problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Code {
	case api.CodeNotActive, api.CodeNoLease:
		return fmt.Errorf("%w: %s", uaserver.ErrInvalidState, p.Detail)
	case api.CodeDevice:
		return fmt.Errorf("%w: %s", uaserver.ErrNoCommunication, p.Detail)
	case api.CodeLate:
		return fmt.Errorf("%w: %s", uaserver.ErrTimeout, p.Detail)
	}
	return p
}

// uncertainOutcome is Uncertain: the value was sent and could not be verified.
const uncertainOutcome tag.Quality = 0x40000000

func (s *Server) newUAServer(node string) (*uaserver.Server, error) {
	n := s.cfg.Nodes[node]
	uri := applicationURI(s.cfg.Project, node)
	dir := filepath.Join(n.Data, "pki")
	host, _, err := net.SplitHostPort(n.OPCUA)
	if err != nil {
		return nil, fmt.Errorf("opc ua server: %w", err)
	}
	identity, err := uaserver.LoadOrCreateCertificate(dir, uri, append([]string{host}, s.cfg.OPCUA.Hosts...))
	if err != nil {
		return nil, fmt.Errorf("opc ua server: %w", err)
	}
	trust, err := uaserver.OpenTrustList(dir, false)
	if err != nil {
		return nil, fmt.Errorf("opc ua server: %w", err)
	}
	userTrust, err := uaserver.OpenTrustList(filepath.Join(dir, "users"), false)
	if err != nil {
		return nil, fmt.Errorf("opc ua server: %w", err)
	}
	cfg := uaserver.Config{
		UserTrust: userTrust,
		Project:   s.cfg.Project, ApplicationURI: uri, ApplicationName: s.cfg.Project + " " + node, SoftwareVersion: s.version,
		EndpointURL: "opc.tcp://" + n.OPCUA, Identity: identity, Trust: trust, AllowNone: s.cfg.OPCUA.AllowNone,
		AllowAnonymous: s.cfg.OPCUA.Anonymous, Hot: s.cfg.OPCUA.Hot, History: uaHistory{s.store}, Logger: s.log.With("component", "opcua-server"),
	}
	if len(s.alarmsOf) > 0 {
		cfg.Alarms = uaAlarms{s}
	}
	ua, err := uaserver.New(cfg, uaBackend{s})
	if err == nil && cfg.Alarms != nil {
		s.spawn("opc ua events", s.tellUA(ua))
	}
	return ua, err
}
