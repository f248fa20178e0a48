package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"scada/web/api"
)

const (
	blockSize     = 4096 // bytes of the block that is written to learn how long the disk takes
	blocks        = 3
	portTimeout   = 2 * time.Second
	maxPEM        = 1 << 20 // bytes of a certificate file
	exampleOfZone = "Europe/Berlin"
)

// Dial connects to a port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Port connects to a port of this node.
func Port(ctx context.Context, dial Dial, name, address string) api.Check {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	if host, p, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			address = net.JoinHostPort("127.0.0.1", p)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, portTimeout)
	defer cancel()
	began := time.Now()
	conn, err := dial(ctx, "tcp", address)
	took := time.Since(began)
	if err == nil {
		err = conn.Close()
	}
	return port(name, address, took, err)
}

// DiskWrite writes a few blocks into the folder as the journal does and says how long the slowest took.
func DiskWrite(dir string) api.Check { return diskWrite(writeBlocks(dir)) }

func writeBlocks(dir string) (worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, "check-*.new")
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	block := make([]byte, blockSize)
	for range blocks {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return worst, err
		}
		if err := f.Sync(); err != nil {
			return worst, err
		}
		worst = max(worst, time.Since(began))
	}
	return worst, nil
}

// CertificateFile judges the certificate in a PEM or DER file. address is where others reach the node, "" when the certificate
// need not be for it.
func CertificateFile(what, file, address string, now time.Time) api.Check {
	c, err := readCertificate(file)
	if err != nil {
		return NoCertificate(what, fmt.Sprintf("%s: %s", filepath.Base(file), err))
	}
	out := Certificate(what, c.NotAfter, now)
	host, _, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || c.VerifyHostname(host) == nil {
		return out
	}
	if out.State == api.CheckOK {
		out.State = api.CheckWarn
	}
	out.Text += ", it is not for " + host
	out.Advice = "issue one with --host " + host + " and every other address of the node: docs/security.md"
	return out
}

func readCertificate(file string) (*x509.Certificate, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPEM {
		return nil, fmt.Errorf("it has more than %d bytes", maxPEM)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for rest := b; ; {
		block, more := pem.Decode(rest)
		if block == nil {
			return x509.ParseCertificate(b)
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		rest = more
	}
}

// Zone looks whether the time zones of users can be worked with.
func Zone() api.Check {
	_, err := time.LoadLocation(exampleOfZone)
	name, _ := time.Now().Zone()
	return zone(name, err)
}
