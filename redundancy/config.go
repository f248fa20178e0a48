package redundancy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"scada/redundancy/role"
)

// Defaults of a [Config].
const (
	DefaultRingAge   = 60 * time.Second
	DefaultRingBytes = 64 << 20
)

func (c Config) withDefaults() Config {
	if c.RingAge == 0 {
		c.RingAge = DefaultRingAge
	}
	if c.RingBytes == 0 {
		c.RingBytes = DefaultRingBytes
	}
	return c
}

// role returns the configuration of an area's machine.
func (c Config) role(a Area, witness bool, epoch uint64) role.Config {
	return role.Config{
		Self: c.Self, Peer: c.Peer, Primary: a.Primary == c.Self, Heartbeat: c.Heartbeat, Misses: c.Misses, JoinWait: c.JoinWait,
		Failback: c.Failback, HoldOff: c.HoldOff, Policy: c.Policy, Witness: witness, StepLimit: c.StepLimit, HealthMargin: c.HealthMargin, Epoch: epoch,
	}
}

// take is how long the peer must be silent for a take-over.
func (c Config) take() time.Duration { return c.Heartbeat * time.Duration(c.Misses) }

func (c Config) validate() error {
	switch {
	case c.Project == "":
		return errors.New("redundancy: no project name")
	case c.DataDir == "":
		return errors.New("redundancy: no data directory")
	case len(c.Areas) == 0 || len(c.Areas) > MaxAreas:
		return fmt.Errorf("redundancy: %d areas, there must be 1 to %d", len(c.Areas), MaxAreas)
	case len(c.Paths) == 0 || len(c.Paths) > MaxPaths:
		return fmt.Errorf("redundancy: %d paths, there must be 1 to %d", len(c.Paths), MaxPaths)
	case (c.ServerTLS == nil) != (c.ClientTLS == nil):
		return errors.New("redundancy: TLS needs a server and a client configuration")
	}
	seen := map[string]bool{}
	for _, a := range c.Areas {
		if a.Name == "" || seen[a.Name] {
			return fmt.Errorf("redundancy: area %q is nameless or there twice", a.Name)
		}
		if a.Primary != c.Self && a.Primary != c.Peer {
			return fmt.Errorf("redundancy: area %s: the primary %q is not a node of the pair", a.Name, a.Primary)
		}
		seen[a.Name] = true
		if err := c.role(a, false, 0).WithDefaults().Validate(); err != nil {
			return fmt.Errorf("redundancy: area %s: %w", a.Name, err)
		}
	}
	return c.validatePaths()
}

func (c Config) validatePaths() error {
	seen := map[string]bool{}
	for _, p := range c.Paths {
		if p.Name == "" || seen[p.Name] {
			return fmt.Errorf("redundancy: path %q is nameless or there twice", p.Name)
		}
		seen[p.Name] = true
		for _, address := range []string{p.Listen, p.Peer} {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return fmt.Errorf("redundancy: path %s: %w", p.Name, err)
			}
			if c.ServerTLS == nil && !loopback(host) {
				return fmt.Errorf("redundancy: path %s: %s is not a loopback address: a link without TLS would let anybody on the network take the plant over", p.Name, address)
			}
		}
	}
	if c.ServerTLS == nil {
		return nil
	}
	if c.ServerTLS.ClientAuth != tls.RequireAndVerifyClientCert && (c.ServerTLS.ClientAuth != tls.RequireAnyClientCert || c.ServerTLS.VerifyPeerCertificate == nil && c.ServerTLS.VerifyConnection == nil) {
		return errors.New("redundancy: the server side of TLS does not verify the peer's certificate")
	}
	if c.ClientTLS.InsecureSkipVerify && c.ClientTLS.VerifyPeerCertificate == nil && c.ClientTLS.VerifyConnection == nil {
		return errors.New("redundancy: the client side of TLS does not verify the peer's certificate")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
