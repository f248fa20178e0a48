package uaserver

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	trustedDir         = "trusted"  // DER certificates of clients, or of the authorities that signed them
	rejectedDir        = "rejected" // certificates that were refused, for an administrator to look at and move
	maxTrustedFiles    = 1000       // certificates read from trusted
	maxRejectedFiles   = 100        // kept in rejected; the oldest go
	minClientKeyBits   = 2048
	maxClientKeyBits   = 4096
	trustCacheLifetime = time.Second // a file moved by hand counts at the latest after this
)

// TrustList decides which client certificates may open a secure channel. It lives in a directory: a certificate in
// dir/trusted is trusted, or one signed by an authority in it; a refused one is kept in dir/rejected, from where an
// administrator can move it to trusted without a restart.
type TrustList struct {
	dir       string
	firstSeen bool

	mu      sync.Mutex
	read    time.Time
	trusted []*x509.Certificate
}

// OpenTrustList opens, or makes, the trust list in dir. With trustFirstSeen every well-formed certificate is moved to
// trusted when it is first seen: for a demo or commissioning, never for a plant in operation.
func OpenTrustList(dir string, trustFirstSeen bool) (*TrustList, error) {
	for _, sub := range []string{trustedDir, rejectedDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make trust list: %w", err)
		}
	}
	return &TrustList{dir: dir, firstSeen: trustFirstSeen}, nil
}

// Add puts a certificate on the list.
func (l *TrustList) Add(der []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read = time.Time{}
	return l.save(trustedDir, der)
}

// Verify returns the certificate if it is well-formed, valid now and trusted; else a [StatusError].
func (l *TrustList) Verify(der []byte) (*x509.Certificate, error) {
	certs, err := x509.ParseCertificates(der)
	if err != nil || len(certs) == 0 {
		return nil, &StatusError{uint32(ua.StatusBadCertificateInvalid), fmt.Errorf("client certificate: %w", err)}
	}
	cert := certs[0]
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minClientKeyBits || key.N.BitLen() > maxClientKeyBits {
		return nil, &StatusError{uint32(ua.StatusBadCertificateInvalid), fmt.Errorf("client certificate %s: no RSA key of %d to %d bits", cert.Subject, minClientKeyBits, maxClientKeyBits)}
	}
	if now := time.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, &StatusError{uint32(ua.StatusBadCertificateTimeInvalid), fmt.Errorf("client certificate %s: valid %s to %s", cert.Subject, cert.NotBefore, cert.NotAfter)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trusts(cert) {
		return cert, nil
	}
	if l.firstSeen {
		l.read = time.Time{}
		return cert, l.save(trustedDir, cert.Raw)
	}
	err = fmt.Errorf("client certificate %s is not trusted: kept in %s", cert.Subject, filepath.Join(l.dir, rejectedDir))
	if saveErr := l.reject(cert.Raw); saveErr != nil {
		err = fmt.Errorf("client certificate %s is not trusted, and could not be kept: %w", cert.Subject, saveErr)
	}
	return nil, &StatusError{uint32(ua.StatusBadSecurityChecksFailed), err}
}

func (l *TrustList) trusts(cert *x509.Certificate) bool {
	if time.Since(l.read) > trustCacheLifetime {
		l.trusted, l.read = readCertificates(filepath.Join(l.dir, trustedDir)), time.Now()
	}
	for _, t := range l.trusted {
		if bytes.Equal(t.Raw, cert.Raw) || (t.IsCA && cert.CheckSignatureFrom(t) == nil) {
			return true
		}
	}
	return false
}

// readCertificates reads what can be read: one bad file must not lock everybody out.
func readCertificates(dir string) []*x509.Certificate {
	entries, _ := os.ReadDir(dir)
	var certs []*x509.Certificate
	for i, e := range entries {
		if i == maxTrustedFiles {
			break
		}
		der, err := readBounded(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if cert, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}

func (l *TrustList) save(sub string, der []byte) error {
	sum := sha1.Sum(der)
	path := filepath.Join(l.dir, sub, hex.EncodeToString(sum[:])+".der")
	if err := os.WriteFile(path, der, 0o644); err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	return nil
}

// reject keeps a refused certificate and drops the oldest beyond the limit: anybody can send certificates.
func (l *TrustList) reject(der []byte) error {
	dir := filepath.Join(l.dir, rejectedDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) >= maxRejectedFiles {
		age := func(i int) time.Time {
			if info, err := entries[i].Info(); err == nil {
				return info.ModTime()
			}
			return time.Time{}
		}
		sort.Slice(entries, func(i, j int) bool { return age(i).Before(age(j)) })
		for _, e := range entries[:len(entries)-maxRejectedFiles+1] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return l.save(rejectedDir, der)
}
