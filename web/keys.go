package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The files in the directory of [Keys].
const (
	CertificateFile = "web.pem" // the certificate, and behind it those of authorities between it and the root
	KeyFile         = "web.key"
)

const (
	maxKeyFile = 64 << 10 // bytes
	// keysEvery is how often, at most, the files are looked at.
	keysEvery = time.Second
	// WarnBefore is when an expiry is told.
	WarnBefore = 30 * 24 * time.Hour
)

// Keys is the certificate of the server and its private key. They are read again when the files change: connections that
// stand are not touched, new ones get the new certificate.
type Keys struct {
	dir string
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	cert   *tls.Certificate
	seen   [2]fs.FileInfo
	looked time.Time
	broken string // why what is on disk is not in use
}

// OpenKeys reads the certificate and the key in a directory.
func OpenKeys(dir string, log *slog.Logger) (*Keys, error) {
	k := &Keys{dir: dir, log: log, now: time.Now}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	cert, seen, err := k.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("web: there is no certificate (%s, %s) in %s: make one with scadactl cert issue, or put your own there", CertificateFile, KeyFile, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	k.cert, k.seen, k.looked = cert, seen, k.now()
	return k, nil
}

// TLS is how the server speaks: TLS 1.3, or 1.2 with those who have no other, then with forward secrecy and authenticated
// encryption alone. Every browser since 2016 has one of the suites. Sessions are not resumed: a key that could open recorded
// ones is not kept for days.
func (k *Keys) TLS() *tls.Config {
	suites := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suites, SessionTicketsDisabled: true, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.refresh()
		return k.cert, nil
	}}
}

// Problems says what somebody should see to.
func (k *Keys) Problems(now time.Time) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refresh()
	var list []string
	if k.broken != "" {
		list = append(list, "the web certificate in "+k.dir+" cannot be used, the one before serves on: "+k.broken)
	}
	date := k.cert.Leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := k.cert.Leaf.NotAfter.Sub(now); {
	case left <= 0:
		list = append(list, "the web certificate has expired on "+date)
	case left <= WarnBefore:
		list = append(list, fmt.Sprintf("the web certificate expires on %s, in %d days", date, int(left/(24*time.Hour))))
	}
	return list
}

// refresh reads files that have changed; ones that cannot be used change nothing. The caller holds the mutex.
func (k *Keys) refresh() {
	if now := k.now(); now.Sub(k.looked).Abs() < keysEvery {
		return
	}
	k.looked = k.now()
	var infos [2]fs.FileInfo
	same := true
	for i, name := range []string{CertificateFile, KeyFile} {
		info, err := os.Stat(filepath.Join(k.dir, name))
		if err != nil {
			k.fault(err)
			return
		}
		infos[i] = info
		same = same && os.SameFile(info, k.seen[i]) && info.ModTime().Equal(k.seen[i].ModTime()) && info.Size() == k.seen[i].Size()
	}
	if same {
		k.broken = ""
		return
	}
	cert, seen, err := k.read()
	if err != nil {
		k.fault(err) // looked at again: the other file may be on its way
		return
	}
	k.cert, k.seen, k.broken = cert, seen, ""
	k.log.Info("A new web certificate is in use", "expires", cert.Leaf.NotAfter)
}

func (k *Keys) fault(err error) {
	if k.broken != err.Error() {
		k.log.Warn("The web certificate cannot be read again", "error", err)
	}
	k.broken = err.Error()
}

func (k *Keys) read() (*tls.Certificate, [2]fs.FileInfo, error) {
	var text [2][]byte
	var infos [2]fs.FileInfo
	for i, name := range []string{CertificateFile, KeyFile} {
		path := filepath.Join(k.dir, name)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, infos, err
		case info.Size() > maxKeyFile:
			return nil, infos, fmt.Errorf("%s has more than %d bytes", path, maxKeyFile)
		case name == KeyFile && info.Mode().Perm()&0o077 != 0:
			return nil, infos, fmt.Errorf("%s has mode %04o, others can read it; chmod 600 it", path, info.Mode().Perm())
		}
		if text[i], err = os.ReadFile(path); err != nil {
			return nil, infos, err
		}
		infos[i] = info
	}
	cert, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return nil, infos, fmt.Errorf("%s with %s: %w", CertificateFile, KeyFile, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return nil, infos, fmt.Errorf("%s: %w", CertificateFile, err)
		}
	}
	return &cert, infos, nil
}
