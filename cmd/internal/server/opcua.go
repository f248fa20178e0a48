package server

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
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
func (b uaBackend) Tags() []tag.Definition { return b.now().cfg.Tags }

// Live implements [uaserver.Backend].
func (b uaBackend) Live() *live.Table { return b.now().live }

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
	who, err := b.web.Authenticate(ctx, user, password, uaserver.ClientAddress(ctx))
	if err == nil && who.MustChange {
		err = errPasswordDue
	}
	if err != nil {
		return uaserver.User{}, fmt.Errorf("%w: %w", uaserver.ErrUserAccessDenied, err)
	}
	b.Audit(web.AuditEvent{Event: web.AuditLogin, Actor: who, Detail: "opc ua"})
	return b.uaUser(who), nil
}

// UserOfCertificate implements [uaserver.CertificateUsers]: the certificate is made out to a user of the web by name.
func (b uaBackend) UserOfCertificate(ctx context.Context, cert *x509.Certificate) (uaserver.User, error) {
	name := cert.Subject.CommonName
	who, ok := b.web.ActorOf(name, uaserver.ClientAddress(ctx))
	if !ok {
		return uaserver.User{}, fmt.Errorf("%w: no user %q, or one who may not log in now", uaserver.ErrUserAccessDenied, name)
	}
	b.Audit(web.AuditEvent{Event: web.AuditLogin, Actor: who, Detail: "opc ua, by certificate"})
	return b.uaUser(who), nil
}

var errPasswordDue = errors.New("the password must be changed first, in the dashboard or with scadactl")

// Audit journals a log-in.
func (b uaBackend) Audit(ev web.AuditEvent) { backend(b).Audit(ev) }

// uaUser is what the user may do somewhere; each write and command is held against the area it is about.
func (b uaBackend) uaUser(who web.Actor) uaserver.User {
	u := uaserver.User{Name: who.User, MayDiagnose: who.Role.May(web.PeopleAdmin)}
	for _, area := range b.areaNames {
		u.MayWrite = u.MayWrite || who.May(web.TagWrite, area)
		u.MayOperateAlarms = u.MayOperateAlarms || who.May(web.AlarmOperate, area)
	}
	return u
}

// uaActor is what a user of a session may do now: sessions of OPC UA live long, and the user may have been locked,
// removed, or given another role meanwhile.
func (s *Server) uaActor(user uaserver.User) (web.Actor, error) {
	who, ok := s.web.ActorOf(user.Name, user.Address)
	if !ok {
		return who, fmt.Errorf("%w: user %q may not log in any more", uaserver.ErrUserAccessDenied, user.Name)
	}
	return who, nil
}

// Write implements [uaserver.Backend].
func (b uaBackend) Write(ctx context.Context, user uaserver.User, def tag.Definition, value tag.Value) error {
	def, ok := b.now().definition(def.Name)
	if !ok || !def.Writable {
		return uaserver.ErrNotWritable
	}
	if n := value.Number(); !def.Range.IsZero() && def.Type != tag.TypeString && (n < def.Range.Low || n > def.Range.High) {
		return uaserver.ErrOutOfRange
	}
	who, err := b.uaActor(user)
	if err == nil && !who.May(web.TagWrite, def.Area) {
		err = fmt.Errorf("%w: user %s may not write in area %s", uaserver.ErrUserAccessDenied, user.Name, def.Area)
	}
	if err != nil {
		return err
	}
	res, err := b.write(ctx, who, web.Write{Tag: def, Value: value, Deadline: time.Now().Add(uaWriteWithin)})
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
		AllowAnonymous: s.cfg.OPCUA.Anonymous, Hot: s.cfg.OPCUA.Hot, History: uaHistory{s.store}, Clients: s.clients.opcua, Logger: s.log.With("component", "opcua-server"),
	}
	cfg.Alarms = uaAlarms{s}
	ua, err := uaserver.New(cfg, uaBackend{s})
	if err == nil && cfg.Alarms != nil {
		s.spawn("opc ua events", s.tellUA(ua))
	}
	return ua, err
}
