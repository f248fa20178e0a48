package uaserver

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	ownKeyBits      = 2048           // RSA key of a self-made certificate; the policies allow 2048 to 4096
	ownYears        = 10             // validity of a self-made certificate
	ownBackdate     = 24 * time.Hour // clocks of clients differ
	certificateFile = "own/cert.der" // below the directory given to LoadOrCreateCertificate
	keyFile         = "own/key.pem"  // PKCS #8, mode 0600
	maxPKIFileBytes = 64 << 10       // one certificate or key file
)

// Identity is an application instance certificate and its private key.
type Identity struct {
	ApplicationURI string
	Certificate    []byte // DER
	Key            *rsa.PrivateKey
}

// LoadOrCreateCertificate reads the application certificate from dir/own, or makes a self-signed one for the given
// application URI and host names or addresses if there is none. A certificate that is there but cannot serve (another
// URI, expired, not matching its key) is an error, never overwritten: it may be the plant's own.
func LoadOrCreateCertificate(dir, applicationURI string, hosts []string) (*Identity, error) {
	id, err := loadIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(dir, applicationURI, hosts)
	}
	if err != nil {
		return nil, fmt.Errorf("read application certificate: %w", err)
	}
	if id.ApplicationURI != applicationURI {
		return nil, fmt.Errorf("application certificate %s is for %q, not for %q: move it away to have a new one made",
			filepath.Join(dir, certificateFile), id.ApplicationURI, applicationURI)
	}
	return id, nil
}

func loadIdentity(dir string) (*Identity, error) {
	der, err := readBounded(filepath.Join(dir, certificateFile))
	if err != nil {
		return nil, err
	}
	text, err := readBounded(filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s without %s", certificateFile, keyFile) // not a reason to make a new pair
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: not a PEM file", keyFile)
	}
	return newIdentity(der, block.Bytes)
}

func newIdentity(der, pkcs8 []byte) (*Identity, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	switch {
	case !ok:
		return nil, errors.New("the key is not an RSA key")
	case !key.PublicKey.Equal(cert.PublicKey):
		return nil, errors.New("the key is not the certificate's")
	case len(cert.URIs) == 0:
		return nil, errors.New("the certificate names no application uri")
	case time.Now().After(cert.NotAfter):
		return nil, fmt.Errorf("the certificate expired %s", cert.NotAfter.Format(time.RFC3339))
	}
	return &Identity{ApplicationURI: cert.URIs[0].String(), Certificate: der, Key: key}, nil
}

func createIdentity(dir, applicationURI string, hosts []string) (*Identity, error) {
	uri, err := url.Parse(applicationURI)
	if err != nil || applicationURI == "" {
		return nil, fmt.Errorf("make application certificate: %q is not a uri", applicationURI)
	}
	key, err := rsa.GenerateKey(rand.Reader, ownKeyBits)
	if err != nil {
		return nil, fmt.Errorf("make application key: %w", err)
	}
	template := certificateTemplate(uri, hosts, time.Now())
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make application certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode application key: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "own"), 0o700); err != nil {
		return nil, fmt.Errorf("make certificate directory: %w", err)
	}
	// The key first: a certificate that is there promises its key is, too.
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if err := os.WriteFile(filepath.Join(dir, keyFile), text, 0o600); err != nil {
		return nil, fmt.Errorf("write application key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, certificateFile), der, 0o644); err != nil {
		return nil, fmt.Errorf("write application certificate: %w", err)
	}
	return &Identity{ApplicationURI: applicationURI, Certificate: der, Key: key}, nil
}

func certificateTemplate(uri *url.URL, hosts []string, now time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails: crypto/rand aborts instead
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: uri.String(), Organization: []string{"scada"}},
		NotBefore:    now.Add(-ownBackdate),
		NotAfter:     now.AddDate(ownYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{uri},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if h != "" {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// readBounded reads a small file of the certificate directory.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPKIFileBytes {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d", path, info.Size(), maxPKIFileBytes)
	}
	return os.ReadFile(path)
}
