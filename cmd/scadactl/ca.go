package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

const (
	caFile, caKeyFile   = "ca.pem", "ca.key"
	webFile, webKeyFile = "web.pem", "web.key"
	caDays              = 3652
	webDays             = 397 // what browsers take of public authorities; those of a plant may last longer
	maxDays             = 36525
	backdate            = time.Hour // clocks differ
)

// caCommand makes a plant's own authority. Its key is needed to issue only, and best kept away from the nodes.
func (a *app) caCommand() *cobra.Command {
	var name string
	var days int
	cmd := &cobra.Command{Use: "ca DIR", Short: "Make a certificate authority for the web servers of a plant: ca.pem, to be given to everybody, and ca.key", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a.started = true
			if days < 1 || days > maxDays {
				return usage("--days: want 1 to %d", maxDays)
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return fmt.Errorf("making a key: %w", err)
			}
			t := template(name, days)
			t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero, t.KeyUsage = true, true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
			der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
			if err != nil {
				return fmt.Errorf("making a certificate: %w", err)
			}
			return a.keepPair(args[0], caFile, caKeyFile, der, key, false)
		}}
	cmd.Flags().StringVar(&name, "name", "SCADA plant authority", "name of the authority")
	cmd.Flags().IntVar(&days, "days", caDays, "days it is valid")
	return cmd
}

// issueCommand makes the certificate of a node's web server.
func (a *app) issueCommand() *cobra.Command {
	var ca string
	var hosts []string
	var days int
	var replace bool
	cmd := &cobra.Command{Use: "issue DIR", Short: "Make the certificate of a node's web server: web.pem and web.key in DIR, below the node's data folder", Args: cobra.ExactArgs(1),
		Long: "A running node takes a new certificate up within seconds, without a restart.",
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case ca == "":
				return usage("--ca-dir is required: the directory of scadactl cert ca")
			case len(hosts) == 0:
				return usage("--host is required: every name and address the node is reached by, the virtual one too")
			case days < 1 || days > maxDays:
				return usage("--days: want 1 to %d", maxDays)
			}
			a.started = true
			parent, parentKey, err := readAuthority(ca)
			if err != nil {
				return err
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return fmt.Errorf("making a key: %w", err)
			}
			t := template(hosts[0], days)
			t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			for _, h := range hosts {
				if ip := net.ParseIP(h); ip != nil {
					t.IPAddresses = append(t.IPAddresses, ip)
				} else {
					t.DNSNames = append(t.DNSNames, h)
				}
			}
			der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), parentKey)
			if err != nil {
				return fmt.Errorf("making a certificate: %w", err)
			}
			return a.keepPair(args[0], webFile, webKeyFile, der, key, replace)
		}}
	cmd.Flags().StringVar(&ca, "ca-dir", "", "directory of the authority")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "a name or address the node is reached by; may be repeated")
	cmd.Flags().IntVar(&days, "days", webDays, "days it is valid")
	cmd.Flags().BoolVar(&replace, "replace", false, "replace a certificate that is there")
	return cmd
}

func template(name string, days int) *x509.Certificate {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // crypto/rand does not fail
	now := time.Now().UTC()
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(append([]byte{1}, serial[:15]...)), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(0, 0, days)}
}

func readAuthority(dir string) (*x509.Certificate, crypto.Signer, error) {
	cert, err := readPEM(filepath.Join(dir, caFile))
	if err != nil {
		return nil, nil, err
	}
	parent, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", caFile, err)
	}
	text, err := readPEM(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", caKeyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(parent.PublicKey) || !parent.IsCA {
		return nil, nil, fmt.Errorf("%s and %s in %s are no authority", caFile, caKeyFile, dir)
	}
	return parent, key, nil
}

func readPEM(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCertificateBytes {
		return nil, fmt.Errorf("%s: %d bytes are too many", path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", path)
	}
	return block.Bytes, nil
}

// keepPair writes the key, then the certificate, each moved into place whole.
func (a *app) keepPair(dir, certFile, keyFile string, der []byte, key *ecdsa.PrivateKey, replace bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keeping the certificate: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !errors.Is(err, os.ErrNotExist) && !replace {
		return fmt.Errorf("there is a %s in %s already: nothing was changed", keyFile, dir)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the key: %w", err)
	}
	for _, f := range []struct {
		name, kind string
		content    []byte
		mode       os.FileMode
	}{{keyFile, "PRIVATE KEY", pkcs8, 0o600}, {certFile, "CERTIFICATE", der, 0o644}} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.content}), f.mode); err != nil {
			return fmt.Errorf("keeping the certificate: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("keeping the certificate: %w", err)
		}
	}
	sum := sha256.Sum256(der)
	fmt.Fprintf(a.out, "%s in %s; fingerprint %s\n", certFile, dir, hex.EncodeToString(sum[:]))
	return nil
}
