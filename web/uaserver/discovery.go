package uaserver

import (
	"net/url"
	"slices"

	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uapolicy"

	"scada/web/uaserver/channel"
)

const (
	transportProfile = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
	productURI       = "urn:scada"
	// tokenPolicy encrypts passwords on channels that are not secure themselves.
	tokenPolicy     = ua.SecurityPolicyURIBasic256Sha256
	policyAnonymous = "anonymous"
	policyUserName  = "username"
	policyUserCert  = "certificate"
)

func (k *call) getEndpoints(req *ua.GetEndpointsRequest) (ua.Response, error) {
	resp := &ua.GetEndpointsResponse{Endpoints: []*ua.EndpointDescription{}}
	if len(req.ProfileURIs) == 0 || slices.Contains(req.ProfileURIs, transportProfile) {
		resp.Endpoints = k.s.endpoints(req.EndpointURL)
	}
	return resp, nil
}

// endpoints lists the ways to connect. They carry the address the client used: behind a translated address it is the
// only one that works for it.
func (s *Server) endpoints(asked string) []*ua.EndpointDescription {
	endpoint := s.address(asked)
	self := s.self(endpoint)
	list := []*ua.EndpointDescription{}
	add := func(policy string, mode ua.MessageSecurityMode) {
		e := &ua.EndpointDescription{
			EndpointURL: endpoint, Server: self, SecurityMode: mode, SecurityPolicyURI: policy,
			UserIdentityTokens: s.tokenPolicies(policy), TransportProfileURI: transportProfile, SecurityLevel: uapolicy.SecurityLevel(policy, mode),
		}
		if s.cfg.Identity != nil {
			e.ServerCertificate = s.cfg.Identity.Certificate
		}
		list = append(list, e)
	}
	if s.cfg.Identity != nil {
		for _, policy := range channel.Policies() {
			add(policy, ua.MessageSecurityModeSign)
			add(policy, ua.MessageSecurityModeSignAndEncrypt)
		}
	}
	if s.cfg.AllowNone {
		add(ua.SecurityPolicyURINone, ua.MessageSecurityModeNone)
	}
	return list
}

// address is the URL to tell a client that used the given one.
func (s *Server) address(asked string) string {
	if len(asked) <= maxURLBytes {
		if u, err := url.Parse(asked); err == nil && u.Scheme == "opc.tcp" && u.Host != "" && u.User == nil {
			return asked
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

func (s *Server) tokenPolicies(policy string) []*ua.UserTokenPolicy {
	list := []*ua.UserTokenPolicy{}
	if s.cfg.AllowAnonymous {
		list = append(list, &ua.UserTokenPolicy{PolicyID: policyAnonymous, TokenType: ua.UserTokenTypeAnonymous})
	}
	user := &ua.UserTokenPolicy{PolicyID: policyUserName, TokenType: ua.UserTokenTypeUserName}
	if policy == ua.SecurityPolicyURINone && s.cfg.Identity != nil {
		user.SecurityPolicyURI = tokenPolicy
	}
	list = append(list, user)
	if s.certificateUsers() != nil {
		cert := &ua.UserTokenPolicy{PolicyID: policyUserCert, TokenType: ua.UserTokenTypeCertificate, SecurityPolicyURI: user.SecurityPolicyURI}
		list = append(list, cert)
	}
	return list
}

func (s *Server) self(endpoint string) *ua.ApplicationDescription {
	return &ua.ApplicationDescription{
		ApplicationURI: s.cfg.ApplicationURI, ProductURI: productURI, ApplicationName: ua.NewLocalizedText(s.cfg.ApplicationName),
		ApplicationType: ua.ApplicationTypeServer, DiscoveryURLs: []string{endpoint},
	}
}

// findServers lists the servers of the redundant set; this one is always among them.
func (k *call) findServers(req *ua.FindServersRequest) (ua.Response, error) {
	all := []*ua.ApplicationDescription{}
	for _, info := range k.s.backend.Servers() {
		if info.ApplicationURI == k.s.cfg.ApplicationURI {
			continue
		}
		d := k.s.self("")
		d.ApplicationURI, d.ApplicationName = info.ApplicationURI, ua.NewLocalizedText(info.Name)
		d.DiscoveryURLs = append([]string{}, info.EndpointURLs...)
		all = append(all, d)
	}
	all = append([]*ua.ApplicationDescription{k.s.self(k.s.address(req.EndpointURL))}, all...)
	if len(req.ServerURIs) > 0 {
		all = slices.DeleteFunc(all, func(d *ua.ApplicationDescription) bool { return !slices.Contains(req.ServerURIs, d.ApplicationURI) })
	}
	return &ua.FindServersResponse{Servers: all}, nil
}
