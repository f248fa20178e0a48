package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scada/web/api"
)

const (
	ok   = api.CheckOK
	warn = api.CheckWarn
	fail = api.CheckFail
)

// TestLimits holds every judge against values just inside and just outside its limits.
func TestLimits(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	broken := errors.New("broken")
	for _, c := range []struct {
		got   api.Check
		state string
	}{
		{Skew(249*time.Millisecond, true), ok}, {Skew(-250*time.Millisecond, true), warn}, {Skew(time.Second, true), fail}, {Skew(0, false), warn},
		{Late(100*time.Millisecond, 500*time.Millisecond), ok}, {Late(125*time.Millisecond, 500*time.Millisecond), warn}, {Late(250*time.Millisecond, 500*time.Millisecond), fail},
		{Certificate("x", now.Add(30*day), now), ok}, {Certificate("x", now.Add(30*day-1), now), warn}, {Certificate("x", now, now), fail},
		{Path("lan", true, time.Millisecond, 3), ok}, {Path("lan", false, 0, 3), fail},
		{port("http", "h:1", 199*time.Millisecond, nil), ok}, {port("http", "h:1", 200*time.Millisecond, nil), warn}, {port("http", "h:1", 0, broken), fail},
		{diskFree(10<<30, 100<<30), ok}, {diskFree(10<<30-1, 100<<30), warn}, {diskFree(3<<30-1, 100<<30), fail}, {diskFree(2<<30-1, 4<<30), warn},
		{diskFree(256<<20-1, 1<<30), fail}, {diskFree(0, 0), fail},
		{diskWrite(99*time.Millisecond, nil), ok}, {diskWrite(100*time.Millisecond, nil), warn}, {diskWrite(time.Second, nil), fail}, {diskWrite(0, broken), fail},
		{openFiles(8192, 10), ok}, {openFiles(8191, 10), warn}, {openFiles(1023, 10), fail}, {openFiles(8192, 8192-99), warn}, {openFiles(8192, 8192-19), fail},
		{priority(-1, 0), ok}, {priority(0, 1), ok}, {priority(0, 0), warn},
		{memory(15, 100, false), ok}, {memory(14, 100, true), warn}, {memory(4, 100, false), fail}, {memory(0, 0, false), fail},
		{kernel("4.19.0-27-amd64"), ok}, {kernel("6.1.0"), ok}, {kernel("4.18.9"), warn}, {kernel("?"), warn},
		{zone("UTC", nil), ok}, {zone("", broken), warn},
		{folder("d", 0o750, true, nil), ok}, {folder("d", 0o754, true, nil), warn}, {folder("d", 0o752, true, nil), fail}, {folder("d", 0o750, false, nil), warn}, {folder("d", 0, true, broken), fail},
		{synchronised(true, 0, nil), ok}, {synchronised(false, 0, nil), warn}, {synchronised(true, 0, broken), warn},
	} {
		if c.got.State != c.state {
			t.Errorf("%+v, want %s", c.got, c.state)
		}
		if (c.got.State == ok) != (c.got.Advice == "") || c.got.Name == "" || c.got.Unit == "" || c.got.Text == "" {
			t.Errorf("%+v: advice belongs to what is not ok, and name, unit and text to all", c.got)
		}
	}
}

func TestAModeReadsLikeOne(t *testing.T) {
	if c := folder("d", 0o750, true, nil); c.Value != 750 {
		t.Errorf("mode 0750 is shown as %v", c.Value)
	}
}

// TestMachine looks at the machine of the test: every check of it has to come to a judgement of its own.
func TestMachine(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range Machine(dir) {
		if seen[c.Name] {
			t.Errorf("%s came twice", c.Name)
		}
		seen[c.Name] = true
		if c.Name == "data_folder" && c.State != ok {
			t.Errorf("%+v", c)
		}
		if c.State != ok && c.State != warn && c.State != fail {
			t.Errorf("%+v", c)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if c := DiskWrite(filepath.Join(dir, "gone")); c.State != fail {
		t.Errorf("a folder that is not there: %+v", c)
	}
}

func TestPortAndCertificateFile(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, number, _ := net.SplitHostPort(l.Addr().String())
	if c := Port(t.Context(), nil, "http", "0.0.0.0:"+number); c.State == fail || !strings.Contains(c.Text, "127.0.0.1") {
		t.Errorf("%+v", c)
	}
	l.Close()
	if c := Port(t.Context(), func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }, "http", "h:1"); c.State != fail {
		t.Errorf("%+v", c)
	}
	file := filepath.Join(t.TempDir(), "c.pem")
	if c := CertificateFile("web", file, "", time.Now()); c.State != fail {
		t.Errorf("%+v", c)
	}
	if err := os.WriteFile(file, make([]byte, maxPEM+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := CertificateFile("web", file, "", time.Now()); c.State != fail || !strings.Contains(c.Advice, "more than") {
		t.Errorf("%+v", c)
	}
	if err := os.WriteFile(file, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := CertificateFile("web", file, "", time.Now()); c.State != fail {
		t.Errorf("%+v", c)
	}
}

// TestCertificateOfAnotherAddress: browsers and scadactl refuse a certificate that is not for the address they call.
func TestCertificateOfAnotherAddress(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now, NotAfter: now.Add(400 * 24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}, DNSNames: []string{"node-a"}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	file := filepath.Join(t.TempDir(), "c.der")
	if err == nil {
		err = os.WriteFile(file, der, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"": ok, ":8080": ok, "0.0.0.0:8080": ok, "[::]:8080": ok, "10.0.0.1:8080": ok, "node-a:8080": ok, "10.0.0.2:8080": warn, "node-b:8080": warn,
	} {
		c := CertificateFile("web", file, address, now)
		if c.State != want || (want == warn) != strings.Contains(c.Text+c.Advice, "--host ") {
			t.Errorf("%q: %+v, want %s", address, c, want)
		}
	}
	if c := CertificateFile("web", file, "10.0.0.2:8080", now.Add(401*24*time.Hour)); c.State != fail {
		t.Errorf("expired and of another address: %+v", c)
	}
}
