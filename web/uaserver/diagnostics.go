package uaserver

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
)

const (
	maxUserHistory = 16 // users of one session that are remembered
)

// restricted are the variables that only administrators may read: they tell who does what from where.
func restricted(numeric uint32) bool {
	switch numeric {
	case id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray,
		id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray,
		id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray:
		return true
	}
	return false
}

// counter counts the requests of one service.
type counter struct{ total, errors atomic.Uint32 }

func (c *counter) value() *ua.ServiceCounterDataType {
	return &ua.ServiceCounterDataType{TotalCount: c.total.Load(), ErrorCount: c.errors.Load()}
}

// tally is what a session's client has asked for. Services this server does not have are in the total only.
type tally struct {
	all          counter
	unauthorized atomic.Uint32
	service      [serviceEnd]counter
}

// The services that are counted one by one.
const (
	serviceOther = iota
	serviceRead
	serviceHistoryRead
	serviceWrite
	serviceCall
	serviceCreateItems
	serviceModifyItems
	serviceSetMode
	serviceSetTriggering
	serviceDeleteItems
	serviceCreateSubscription
	serviceModifySubscription
	serviceSetPublishing
	servicePublish
	serviceRepublish
	serviceTransfer
	serviceDeleteSubscriptions
	serviceBrowse
	serviceBrowseNext
	serviceTranslate
	serviceRegister
	serviceUnregister
	serviceEnd
)

var serviceOf = map[uint32]int{
	id.ReadRequest_Encoding_DefaultBinary: serviceRead, id.HistoryReadRequest_Encoding_DefaultBinary: serviceHistoryRead,
	id.WriteRequest_Encoding_DefaultBinary: serviceWrite, id.CallRequest_Encoding_DefaultBinary: serviceCall,
	id.CreateMonitoredItemsRequest_Encoding_DefaultBinary: serviceCreateItems, id.ModifyMonitoredItemsRequest_Encoding_DefaultBinary: serviceModifyItems,
	id.SetMonitoringModeRequest_Encoding_DefaultBinary: serviceSetMode, id.SetTriggeringRequest_Encoding_DefaultBinary: serviceSetTriggering,
	id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary: serviceDeleteItems, id.CreateSubscriptionRequest_Encoding_DefaultBinary: serviceCreateSubscription,
	id.ModifySubscriptionRequest_Encoding_DefaultBinary: serviceModifySubscription, id.SetPublishingModeRequest_Encoding_DefaultBinary: serviceSetPublishing,
	id.PublishRequest_Encoding_DefaultBinary: servicePublish, id.RepublishRequest_Encoding_DefaultBinary: serviceRepublish,
	id.TransferSubscriptionsRequest_Encoding_DefaultBinary: serviceTransfer, id.DeleteSubscriptionsRequest_Encoding_DefaultBinary: serviceDeleteSubscriptions,
	id.BrowseRequest_Encoding_DefaultBinary: serviceBrowse, id.BrowseNextRequest_Encoding_DefaultBinary: serviceBrowseNext,
	id.TranslateBrowsePathsToNodeIDsRequest_Encoding_DefaultBinary: serviceTranslate, id.RegisterNodesRequest_Encoding_DefaultBinary: serviceRegister,
	id.UnregisterNodesRequest_Encoding_DefaultBinary: serviceUnregister,
}

func (t *tally) count(typ uint32) {
	t.all.total.Add(1)
	t.service[serviceOf[typ]].total.Add(1)
}

// fail counts a request that was answered with a fault.
func (t *tally) fail(typ uint32, status ua.StatusCode) {
	t.all.errors.Add(1)
	t.service[serviceOf[typ]].errors.Add(1)
	if status == ua.StatusBadUserAccessDenied || status == ua.StatusBadSessionNotActivated || status == ua.StatusBadSecureChannelIDInvalid {
		t.unauthorized.Add(1)
	}
}

// past is what the diagnostics tell of a session's making and of its users. The first fields never change.
type past struct {
	client   *ua.ApplicationDescription
	server   string
	endpoint string
	response uint32 // longest the client takes, bytes
	began    time.Time
	tally    tally

	// Guarded by the server's lock.
	users     []string
	mechanism string
	security  security
}

// open notes how a session was made.
func (p *past) open(req *ua.CreateSessionRequest, c *conn) {
	d, security := req.ClientDescription, c.ch.Security()
	p.client = &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText(""), DiscoveryURLs: []string{}}
	if d != nil {
		p.client.ApplicationURI, p.client.ProductURI, p.client.ApplicationType = truncate(d.ApplicationURI), truncate(d.ProductURI), d.ApplicationType
		if d.ApplicationName != nil {
			p.client.ApplicationName = ua.NewLocalizedText(truncate(d.ApplicationName.Text))
		}
	}
	p.server, p.endpoint, p.response, p.began = truncate(req.ServerURI), truncate(req.EndpointURL), req.MaxResponseMessageSize, time.Now().UTC()
	p.security.policy, p.security.mode = security.Policy, security.Mode
	if security.Certificate != nil {
		p.security.certificate = security.Certificate.Raw
	}
}

// noteUser notes who a session now acts for.
func (s *Server) noteUser(x *session, u User, token any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &x.past
	switch token.(type) {
	case *ua.UserNameIdentityToken:
		p.mechanism = "UserName"
	case *ua.X509IdentityToken:
		p.mechanism = "Certificate"
	default:
		p.mechanism = "Anonymous"
	}
	if n := len(p.users); n > 0 && p.users[n-1] == u.Name {
		return
	} else if n == maxUserHistory {
		p.users = slices.Delete(p.users, 0, 1)
	}
	p.users = append(p.users, u.Name)
}

// security is how the channel of a session is protected.
type security struct {
	policy      string
	mode        ua.MessageSecurityMode
	certificate []byte
}

// snapshot is the diagnostics of sessions and subscriptions at one moment.
type snapshot struct {
	sessions, security, subscriptions []*ua.ExtensionObject
}

// observatory keeps the newest snapshot, so that a monitored item does not ask the subscriptions it is one of.
type observatory struct {
	mu     sync.Mutex
	last   atomic.Pointer[snapshot]
	wanted atomic.Bool // a monitored item has looked since the last one
}

// observe takes a snapshot if the node is one that shows it.
func (s *Server) observe(ref space.Ref, of *revision) {
	if restricted(of.space.Numeric(ref)) {
		s.takeSnapshot()
	}
}

func (s *Server) takeSnapshot() {
	s.observatory.mu.Lock()
	defer s.observatory.mu.Unlock()
	subscriptions, load := s.engine.Diagnostics()
	shot := &snapshot{sessions: []*ua.ExtensionObject{}, security: []*ua.ExtensionObject{}, subscriptions: []*ua.ExtensionObject{}}
	owner := map[*monitor.Client]*ua.NodeID{}
	s.mu.Lock()
	inOrder := slices.SortedFunc(maps.Values(s.sessions), func(a, b *session) int { return a.past.began.Compare(b.past.began) })
	for _, x := range inOrder {
		owner[x.client] = x.id
		shot.sessions = append(shot.sessions, ua.NewExtensionObject(x.diagnostics(load[x.client])))
		shot.security = append(shot.security, ua.NewExtensionObject(x.securityDiagnostics()))
	}
	s.mu.Unlock()
	for _, d := range subscriptions {
		if d.Values.SessionID = owner[d.Client]; d.Values.SessionID == nil {
			d.Values.SessionID = ua.NewTwoByteNodeID(0) // its session has ended
		}
		shot.subscriptions = append(shot.subscriptions, ua.NewExtensionObject(d.Values))
	}
	s.observatory.last.Store(shot)
}

// observed returns part of the newest snapshot.
func (s *Server) observed(pick func(*snapshot) []*ua.ExtensionObject) any {
	s.observatory.wanted.Store(true)
	if shot := s.observatory.last.Load(); shot != nil {
		return pick(shot)
	}
	return []*ua.ExtensionObject{}
}

func (x *session) diagnostics(l monitor.Load) *ua.SessionDiagnosticsDataType {
	t, none := &x.past.tally, func() *ua.ServiceCounterDataType { return &ua.ServiceCounterDataType{} }
	n := func(service int) *ua.ServiceCounterDataType { return t.service[service].value() }
	return &ua.SessionDiagnosticsDataType{
		SessionID: x.id, SessionName: x.name, ClientDescription: x.past.client, ServerURI: x.past.server, EndpointURL: x.past.endpoint, LocaleIDs: []string{},
		ActualSessionTimeout: x.timeout.Seconds() * 1000, MaxResponseMessageSize: x.past.response,
		ClientConnectionTime: x.past.began, ClientLastContactTime: time.Unix(0, x.seen.Load()).UTC(),
		CurrentSubscriptionsCount: l.Subscriptions, CurrentMonitoredItemsCount: l.Items, CurrentPublishRequestsInQueue: l.Publish,
		TotalRequestCount: t.all.value(), UnauthorizedRequestCount: t.unauthorized.Load(),
		ReadCount: n(serviceRead), HistoryReadCount: n(serviceHistoryRead), WriteCount: n(serviceWrite), HistoryUpdateCount: none(), CallCount: n(serviceCall),
		CreateMonitoredItemsCount: n(serviceCreateItems), ModifyMonitoredItemsCount: n(serviceModifyItems), SetMonitoringModeCount: n(serviceSetMode),
		SetTriggeringCount: n(serviceSetTriggering), DeleteMonitoredItemsCount: n(serviceDeleteItems), CreateSubscriptionCount: n(serviceCreateSubscription),
		ModifySubscriptionCount: n(serviceModifySubscription), SetPublishingModeCount: n(serviceSetPublishing), PublishCount: n(servicePublish),
		RepublishCount: n(serviceRepublish), TransferSubscriptionsCount: n(serviceTransfer), DeleteSubscriptionsCount: n(serviceDeleteSubscriptions),
		AddNodesCount: none(), AddReferencesCount: none(), DeleteNodesCount: none(), DeleteReferencesCount: none(),
		BrowseCount: n(serviceBrowse), BrowseNextCount: n(serviceBrowseNext), TranslateBrowsePathsToNodeIDsCount: n(serviceTranslate),
		QueryFirstCount: none(), QueryNextCount: none(), RegisterNodesCount: n(serviceRegister), UnregisterNodesCount: n(serviceUnregister),
	}
}

func (x *session) securityDiagnostics() *ua.SessionSecurityDiagnosticsDataType {
	p := &x.past
	return &ua.SessionSecurityDiagnosticsDataType{
		SessionID: x.id, ClientUserIDOfSession: x.user.Name, ClientUserIDHistory: append([]string{}, p.users...), AuthenticationMechanism: p.mechanism,
		Encoding: "UA Binary", TransportProtocol: "opc.tcp", SecurityMode: p.security.mode, SecurityPolicyURI: p.security.policy, ClientCertificate: p.security.certificate,
	}
}
