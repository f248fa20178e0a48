package opcua

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// Limits of a device's settings.
const (
	MinTimeout     = 50 * time.Millisecond
	MaxTimeout     = time.Minute
	DefaultTimeout = 2 * time.Second
	maxTags        = 100_000 // of one device
	maxAddress     = 4096    // bytes of a node id
)

// The ways to acquire values.
const (
	Subscribe = "subscribe" // the server reports changes
	Poll      = "poll"      // values are read at each scan
)

// The ways to trust a server's certificate.
const (
	TrustList     = "list"      // it must be in the folder of trusted certificates
	TrustFirstUse = "first-use" // the first one seen is remembered and from then on required
)

// Device is one OPC UA server and the tags read from it.
type Device struct {
	Name         string
	Endpoint     string        // opc.tcp://host:port/path
	Security     string        // None, Basic256Sha256, Aes128_Sha256_RsaOaep or Aes256_Sha256_RsaPss; empty is None
	Mode         string        // Sign or SignAndEncrypt; empty is SignAndEncrypt, and None with security None
	User         string        // empty logs in anonymously
	PasswordFile string        // read at each log-in, so that a changed password needs no restart
	Acquire      string        // Subscribe or Poll; empty is Subscribe
	Timeout      time.Duration // of one request; 0 is DefaultTimeout
	Trust        string        // TrustList or TrustFirstUse; empty is TrustList. Without meaning for security None
	History      string        // none, or Heal: gaps are filled from the device's own record; empty is none
	Probe        string        // none, tcp or read: what the standby may do; empty is none
	Tags         []tag.Definition
}

var policies = []string{"None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}

// withDefaults returns the device with every empty setting filled in.
func (d Device) withDefaults() Device {
	fill := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	fill(&d.Security, "None")
	fill(&d.Acquire, Subscribe)
	fill(&d.Trust, TrustList)
	fill(&d.Probe, "none")
	fill(&d.History, "none")
	if d.Security == "None" {
		fill(&d.Mode, "None")
	}
	fill(&d.Mode, "SignAndEncrypt")
	if d.Timeout == 0 {
		d.Timeout = DefaultTimeout
	}
	return d
}

// Check returns everything wrong with the settings, tags aside, by name of the setting.
func (d Device) Check() map[string]error {
	wrong := map[string]error{}
	d = d.withDefaults()
	if err := checkEndpoint(d.Endpoint); err != nil {
		wrong["endpoint"] = err
	}
	for _, c := range []struct {
		setting, value string
		allowed        []string
	}{
		{"security", d.Security, policies},
		{"mode", d.Mode, []string{"None", "Sign", "SignAndEncrypt"}},
		{"acquire", d.Acquire, []string{Subscribe, Poll}},
		{"trust", d.Trust, []string{TrustList, TrustFirstUse}},
		{"history", d.History, []string{"none", Heal}},
		{"probe", d.Probe, []string{"none", "tcp", "read"}},
	} {
		if !slices.Contains(c.allowed, c.value) {
			wrong[c.setting] = fmt.Errorf("%q is none of %s", c.value, strings.Join(c.allowed, ", "))
		}
	}
	if wrong["mode"] == nil && (d.Mode == "None") != (d.Security == "None") {
		wrong["mode"] = fmt.Errorf("mode %s contradicts security %s", d.Mode, d.Security)
	}
	if d.Timeout < MinTimeout || d.Timeout > MaxTimeout {
		wrong["timeout"] = fmt.Errorf("%s is outside %s .. %s", d.Timeout, MinTimeout, MaxTimeout)
	}
	if d.User == "" && d.PasswordFile != "" {
		wrong["password_file"] = errors.New("a password without a user")
	}
	return wrong
}

func checkEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "opc.tcp" || u.Hostname() == "" || u.Port() == "" {
		return fmt.Errorf("%q is not an endpoint (opc.tcp://host:port)", s)
	}
	return nil
}

// CheckAddress says what is wrong with a tag's address: it must be a node id in the standard text form.
func CheckAddress(address string) error {
	_, err := parseNode(address)
	return err
}

// nodeText is the beginning of a node id in the standard text form.
var nodeText = regexp.MustCompile(`^(ns=[0-9]{1,5};)?[isgb]=.`)

func parseNode(address string) (id *ua.NodeID, err error) {
	defer func() {
		if p := recover(); p != nil {
			id, err = nil, fmt.Errorf("%q is not a node id: %v", address, p)
		}
	}()
	// The library takes what it does not know for a name.
	if !nodeText.MatchString(address) || len(address) > maxAddress {
		return nil, fmt.Errorf("%.100q is not a node id (ns=2;s=Pump1.Speed or ns=2;i=1001)", address)
	}
	id, err = ua.ParseNodeID(address)
	if err != nil {
		return nil, fmt.Errorf("%q is not a node id (ns=2;s=Pump1.Speed or ns=2;i=1001): %w", address, err)
	}
	return id, nil
}
