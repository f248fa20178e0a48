package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// identity is a certificate with its private key.
type identity struct {
	leaf *x509.Certificate
	cert tls.Certificate
}

// newIdentity makes a key and a certificate that it signs itself. The subject is different for each: it is what a
// request for a certificate names.
func newIdentity(node string, validity time.Duration) (*identity, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a link key: %w", err)
	}
	number := make([]byte, 16)
	if _, err := rand.Read(number); err != nil {
		return nil, fmt.Errorf("making a link key: %w", err)
	}
	number[0] = number[0]&0x7f | 0x40 // a positive number of 16 bytes
	now := time.Now().UTC()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(number),
		Subject:      pkix.Name{CommonName: node, SerialNumber: hex.EncodeToString(number)},
		NotBefore:    now, NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, fmt.Errorf("making a link certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a link certificate: %w", err)
	}
	return &identity{leaf: leaf, cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}}, nil
}

func (id *identity) pem() []byte {
	b := pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: id.leaf.Raw})
	key, err := x509.MarshalPKCS8PrivateKey(id.cert.PrivateKey)
	if err != nil {
		panic(err) // impossible: the key was made or parsed here
	}
	return append(b, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: key})...)
}

// parseIdentity reads what identity.pem wrote.
func parseIdentity(b []byte, node string) (*identity, error) {
	cert, err := tls.X509KeyPair(b, b)
	if err != nil {
		return nil, fmt.Errorf("not a certificate with its key: %w", err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("not a certificate: %w", err)
	}
	if leaf.Subject.CommonName != node {
		return nil, fmt.Errorf("the certificate is node %q's, this is node %q", leaf.Subject.CommonName, node)
	}
	cert.Certificate, cert.Leaf = cert.Certificate[:1], leaf
	return &identity{leaf: leaf, cert: cert}, nil
}

func encodePins(pins []*x509.Certificate) []byte {
	var b []byte
	for _, pin := range pins {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: pin.Raw})...)
	}
	return b
}

// parsePins reads what encodePins wrote.
func parsePins(b []byte) ([]*x509.Certificate, error) {
	var pins []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			if len(bytes.TrimSpace(b)) > 0 {
				return nil, errors.New("something that is not PEM stands behind the certificates")
			}
			return pins, nil
		}
		if block.Type != pemCertificate || len(block.Bytes) > MaxCertificate {
			return nil, fmt.Errorf("a %s of %d bytes where a certificate of at most %d is expected", block.Type, len(block.Bytes), MaxCertificate)
		}
		pin, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if pins = append(pins, pin); len(pins) > MaxPins {
			return nil, fmt.Errorf("more than %d certificates", MaxPins)
		}
	}
}

// fitToPin says why a certificate cannot be pinned for the node, or nil. Its own signature proves that whoever made it
// has the key.
func fitToPin(c *x509.Certificate, node string) error {
	switch c.PublicKey.(type) {
	case ed25519.PublicKey, *ecdsa.PublicKey:
	default:
		return fmt.Errorf("a key of type %T", c.PublicKey)
	}
	switch {
	case len(c.Raw) > MaxCertificate:
		return fmt.Errorf("a certificate of %d bytes, the limit is %d", len(c.Raw), MaxCertificate)
	case c.Subject.CommonName != node:
		return fmt.Errorf("a certificate of %q, not of %q", c.Subject.CommonName, node)
	}
	if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
		return fmt.Errorf("a certificate that it did not sign itself: %w", err)
	}
	return nil
}

// pinOf is what makes a certificate the one that was pinned: its key.
func pinOf(c *x509.Certificate) [sha256.Size]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

func samePin(a, b *x509.Certificate) bool { return a != nil && b != nil && pinOf(a) == pinOf(b) }

// Fingerprint is the pin of a certificate as people compare it: the SHA-256 of its public key.
func Fingerprint(c *x509.Certificate) string {
	pin := pinOf(c)
	var parts []string
	for i := 0; i < len(pin); i += 4 {
		parts = append(parts, hex.EncodeToString(pin[i:i+4]))
	}
	return strings.Join(parts, " ")
}
