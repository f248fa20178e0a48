package opcua

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Limits of the certificate store.
const (
	ownKeyBits          = 2048
	ownLifetime         = 10 * 365 * 24 * time.Hour
	maxCertificateBytes = 16 << 10
	maxTrusted          = 1000 // certificates in the trusted folder
	maxRejected         = 100  // certificates kept for the operator to look at
)

// ErrUntrusted is the reason a device's certificate is not accepted.
var ErrUntrusted = errors.New("the device's certificate is not trusted")

// Identity is our application certificate towards devices.
type Identity struct {
	ApplicationURI string
	Certificate    []byte // DER
	Key            *rsa.PrivateKey
}

// NewIdentity makes a self-signed certificate for an application URI.
func NewIdentity(uri string) (*Identity, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("%q is not an application uri", uri)
	}
	key, err := rsa.GenerateKey(rand.Reader, ownKeyBits)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "scada"}, URIs: []*url.URL{u}, IsCA: false, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(ownLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	return &Identity{ApplicationURI: uri, Certificate: der, Key: key}, nil
}

// LoadOrCreateIdentity reads our certificate (client.der, client.pem) from a folder, or makes one there. One that is
// there and cannot be used is an error: it may be the plant's own.
func LoadOrCreateIdentity(dir, uri string) (*Identity, error) {
	certificate, key := filepath.Join(dir, "client.der"), filepath.Join(dir, "client.pem")
	der, err := os.ReadFile(certificate)
	if errors.Is(err, os.ErrNotExist) {
		id, err := NewIdentity(uri)
		if err != nil {
			return nil, err
		}
		return id, id.save(dir, certificate, key)
	}
	if err != nil {
		return nil, fmt.Errorf("reading our certificate: %w", err)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("reading our key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", key)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certificate, err)
	}
	if !ok || !private.PublicKey.Equal(c.PublicKey) {
		return nil, fmt.Errorf("%s is not the RSA key of %s", key, certificate)
	}
	if len(c.URIs) != 1 || c.URIs[0].String() != uri {
		return nil, fmt.Errorf("%s is for %v, not for %s", certificate, c.URIs, uri)
	}
	return &Identity{ApplicationURI: uri, Certificate: der, Key: private}, nil
}

func (id *Identity) save(dir, certificate, key string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("storing our certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return fmt.Errorf("storing our key: %w", err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("storing our key: %w", err)
	}
	if err := os.WriteFile(certificate, id.Certificate, 0o644); err != nil {
		return fmt.Errorf("storing our certificate: %w", err)
	}
	return nil
}

// trust decides on a device's certificate. One that is refused is kept in the rejected folder, so that accepting it is
// moving a file.
func (s *Source) trust(der []byte) error {
	if len(der) == 0 || len(der) > maxCertificateBytes {
		return fmt.Errorf("%w: it has %d bytes", ErrUntrusted, len(der))
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < ownKeyBits {
		return fmt.Errorf("%w: its key is not RSA with %d bits or more", ErrUntrusted, ownKeyBits)
	}
	if now := time.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: it is valid from %s to %s", ErrUntrusted, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly))
	}
	name := fingerprint(der)
	trusted := filepath.Join(s.o.TrustDir, "trusted")
	if s.device.Trust == TrustFirstUse {
		return s.firstUse(filepath.Join(trusted, "first-use-"+s.device.Name+".der"), der)
	}
	files, err := os.ReadDir(trusted)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the trusted certificates: %w", err)
	}
	for _, f := range files[:min(len(files), maxTrusted)] {
		if b, err := os.ReadFile(filepath.Join(trusted, f.Name())); err == nil && fingerprint(b) == name {
			return nil
		}
	}
	s.reject(name, der)
	return fmt.Errorf("%w: %s (%s); move it from rejected to trusted to accept it", ErrUntrusted, name, c.Subject.CommonName)
}

func (s *Source) firstUse(file string, der []byte) error {
	have, err := os.ReadFile(file)
	switch {
	case err == nil && string(have) == string(der):
		return nil
	case err == nil:
		s.reject(fingerprint(der), der)
		return fmt.Errorf("%w: it is another than at first use (%s)", ErrUntrusted, file)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("reading the trusted certificate: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("storing the trusted certificate: %w", err)
	}
	if err := os.WriteFile(file, der, 0o600); err != nil {
		return fmt.Errorf("storing the trusted certificate: %w", err)
	}
	s.log.Info("certificate trusted at first use", "fingerprint", fingerprint(der))
	return nil
}

func (s *Source) reject(name string, der []byte) {
	dir := filepath.Join(s.o.TrustDir, "rejected")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return // the refusal stands without the copy
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) >= maxRejected {
		return
	}
	_ = os.WriteFile(filepath.Join(dir, name+".der"), der, 0o600) // as above
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
