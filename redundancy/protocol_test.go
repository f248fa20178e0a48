package redundancy

import (
	"strings"
	"testing"

	"scada/redundancy/wire"
)

// TestAnotherProtocolIsRefusedWithBothVersions: whoever reads why knows which node to upgrade.
func TestAnotherProtocolIsRefusedWithBothVersions(t *testing.T) {
	n := &Node{cfg: Config{Project: "p", Self: "a", Peer: "b", Version: "v1.2"}}
	hello := wire.Hello{Protocol: wire.Protocol + 1, Project: "p", Node: "b", Version: "v2.0" + strings.Repeat("x", 1_000)}
	why := n.unwelcome(hello)
	for _, want := range []string{`b runs version "v2.0`, "link protocol 2", `this node version "v1.2" with 1`, "upgrade the older one"} {
		if !strings.Contains(why, want) {
			t.Errorf("%q does not say %q", why, want)
		}
	}
	if len(why) > 300 {
		t.Errorf("%d bytes of a stranger's words are repeated", len(why))
	}
	hello.Protocol = wire.Protocol
	if why := n.unwelcome(hello); why != "" {
		t.Errorf("a peer of another version is refused: %s", why)
	}
}
