// Package demo is the embedded default of the product: a waterworks, its configuration for a pair, and a supervisor
// that runs simulated devices and both nodes as separate processes.
package demo

import (
	"crypto/rand"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"scada/web"
)

//go:embed plant.yaml sim.yaml tags apps mimics texts
var files embed.FS

// Ports are the loopback ports of the demo. Tests run several demos at a time and choose their own.
type Ports struct {
	LanA, LanB, DedA, DedB int
	HTTPA, HTTPB           int
	UAA, UAB               int
	PLC1, PLC2, PLC3       int
	Mixer, Control         int
}

// DefaultPorts returns the ports as they stand in the embedded files.
func DefaultPorts() Ports {
	return Ports{
		LanA: 7401, LanB: 7402, DedA: 7401, DedB: 7402, HTTPA: 8081, HTTPB: 8082, UAA: 4841, UAB: 4842,
		PLC1: 5020, PLC2: 5021, PLC3: 5022, Mixer: 4855, Control: 9500,
	}
}

// replacer maps the addresses in the embedded files to those of p. The two link paths share port numbers on two
// loopback addresses, so whole addresses are replaced.
func (p Ports) replacer() *strings.Replacer {
	d := DefaultPorts()
	var pairs []string
	add := func(host string, from, to int) {
		pairs = append(pairs, host+":"+strconv.Itoa(from), host+":"+strconv.Itoa(to))
	}
	add("127.0.0.1", d.LanA, p.LanA)
	add("127.0.0.1", d.LanB, p.LanB)
	add("127.0.0.2", d.DedA, p.DedA)
	add("127.0.0.2", d.DedB, p.DedB)
	for _, x := range [][2]int{
		{d.HTTPA, p.HTTPA}, {d.HTTPB, p.HTTPB}, {d.UAA, p.UAA}, {d.UAB, p.UAB}, {d.PLC1, p.PLC1}, {d.PLC2, p.PLC2},
		{d.PLC3, p.PLC3}, {d.Mixer, p.Mixer}, {d.Control, p.Control},
	} {
		add("127.0.0.1", x[0], x[1])
	}
	return strings.NewReplacer(pairs...)
}

// Credentials are the log-ins of one demo, made anew each time it is written.
type Credentials struct {
	Viewer, Operator, Admin string // passwords of the users of these names
	Token                   string // bearer token of an operator-admin
}

// Write lays out the demo in dir: plant.yaml, sim.yaml, the tag lists, the key of the pair and scadactl.env. The
// passwords are random: a demo that is left running must not be an open door.
func Write(dir string, p Ports) (Credentials, error) {
	c := Credentials{Viewer: word(), Operator: word(), Admin: word(), Token: secret(24)}
	replace := p.replacer()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		src, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		text := replace.Replace(string(src))
		if name == "plant.yaml" {
			people, err := c.section()
			if err != nil {
				return err
			}
			text += people
		}
		return os.WriteFile(to, []byte(text), 0o600)
	})
	if err != nil {
		return c, fmt.Errorf("writing the demo plant: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pair.key"), []byte(secret(32)), 0o600); err != nil {
		return c, fmt.Errorf("writing the demo plant: %w", err)
	}
	env := fmt.Sprintf("SCADACTL_SERVER=http://127.0.0.1:%d,http://127.0.0.1:%d\nSCADACTL_TOKEN=%s\n", p.HTTPA, p.HTTPB, c.Token)
	if err := os.WriteFile(filepath.Join(dir, "scadactl.env"), []byte(env), 0o600); err != nil {
		return c, fmt.Errorf("writing the demo plant: %w", err)
	}
	return c, nil
}

// section returns the users of the demo as configuration.
func (c Credentials) section() (string, error) {
	var b strings.Builder
	b.WriteString("\nusers:\n")
	for _, u := range []struct{ name, password string }{{"viewer", c.Viewer}, {"operator", c.Operator}, {"admin", c.Admin}} {
		hash, err := web.HashPassword(u.password)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  - {name: %s, role: %s, password_hash: %q}\n", u.name, u.name, hash)
	}
	fmt.Fprintf(&b, "tokens:\n  - {name: demo, role: admin, hash: %q}\n", web.HashToken(c.Token))
	b.WriteString("web: {pair_key_file: pair.key}\nopcua: {allow_none: true, anonymous: read}\n")
	return b.String(), nil
}

// word returns a short random password that can be typed.
func word() string {
	const consonants, vowels = "bdfghklmnprstvz", "aeiou"
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // crypto/rand does not fail
	var b strings.Builder
	for i, r := range raw {
		from := consonants
		if i%2 == 1 {
			from = vowels
		}
		b.WriteByte(from[int(r)%len(from)])
	}
	return b.String() + strconv.Itoa(10+int(raw[0]^raw[7])%90)
}

func secret(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // crypto/rand does not fail
	return hex.EncodeToString(raw)
}
