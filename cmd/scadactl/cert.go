package main

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// maxCertificateBytes bounds a certificate file.
const maxCertificateBytes = 64 << 10

// certificate is a file of a trust list of the OPC UA server.
type certificate struct {
	List        string    `json:"list"` // trusted or rejected
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	URI         string    `json:"uri,omitempty"`
	NotAfter    time.Time `json:"not_after"`
	path        string
}

// certCommand works on the files of a node on its own machine: who may be trusted is decided there, not over a network.
func (a *app) certCommand() *cobra.Command {
	var pki string
	var users bool
	dir := func() (string, error) {
		if pki == "" {
			return "", usage("--pki is required: the directory pki below the node's data")
		}
		if users {
			return filepath.Join(pki, "users"), nil
		}
		return pki, nil
	}
	list := &cobra.Command{Use: "list", Short: "Certificates that are trusted, and that were rejected", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		at, err := dir()
		if err != nil {
			return err
		}
		return a.listCertificates(at)
	}}
	move := func(use, short, from, to string) *cobra.Command {
		return &cobra.Command{Use: use + " FINGERPRINT", Short: short, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
			at, err := dir()
			if err != nil {
				return err
			}
			return a.moveCertificate(at, from, to, args[0])
		}}
	}
	add := &cobra.Command{Use: "add FILE", Short: "Trust the certificate in a file (DER)", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		at, err := dir()
		if err != nil {
			return err
		}
		return a.addCertificate(at, args[0])
	}}
	g := group("cert", "Certificates: whom the OPC UA server of a node trusts, and those of the web servers; works on files", list,
		move("trust", "Trust a rejected certificate", "rejected", "trusted"), move("reject", "Trust a certificate no longer", "trusted", "rejected"), add, a.caCommand(), a.issueCommand())
	g.PersistentFlags().StringVar(&pki, "pki", "", "directory of the node's certificates: pki below its data")
	g.PersistentFlags().BoolVar(&users, "users", false, "certificates of users instead of applications")
	return g
}

func (a *app) listCertificates(dir string) error {
	a.started = true
	all, err := certificates(dir)
	if err != nil {
		return err
	}
	t := table{value: all, header: []string{"list", "fingerprint", "subject", "uri", "not_after"}}
	for _, c := range all {
		t.add(c.List, c.Fingerprint, c.Subject, c.URI, c.NotAfter.Format(time.RFC3339))
	}
	return a.print(t)
}

// certificates reads both lists. What is no certificate is left out: the server does not heed it either.
func certificates(dir string) ([]certificate, error) {
	all := []certificate{}
	for _, list := range []string{"trusted", "rejected"} {
		files, err := os.ReadDir(filepath.Join(dir, list))
		if err != nil {
			return nil, fmt.Errorf("reading the trust list: %w", err)
		}
		for _, f := range files {
			path := filepath.Join(dir, list, f.Name())
			cert, err := readCertificate(path)
			if err != nil {
				continue
			}
			sum := sha1.Sum(cert.Raw)
			c := certificate{List: list, Fingerprint: hex.EncodeToString(sum[:]), Subject: cert.Subject.String(), NotAfter: cert.NotAfter.UTC(), path: path}
			if len(cert.URIs) > 0 {
				c.URI = cert.URIs[0].String()
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCertificateBytes {
		return nil, fmt.Errorf("%s: %d bytes are too many for a certificate", path, info.Size())
	}
	der, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cert, nil
}

// moveCertificate moves the one whose fingerprint begins as given. The server heeds it within a second.
func (a *app) moveCertificate(dir, from, to, fingerprint string) error {
	a.started = true
	all, err := certificates(dir)
	if err != nil {
		return err
	}
	var found []certificate
	for _, c := range all {
		if c.List == from && strings.HasPrefix(c.Fingerprint, strings.ToLower(fingerprint)) {
			found = append(found, c)
		}
	}
	switch {
	case fingerprint == "" || len(found) == 0:
		return fmt.Errorf("no %s certificate with the fingerprint %s", from, fingerprint)
	case len(found) > 1:
		return fmt.Errorf("%d %s certificates have a fingerprint that begins with %s", len(found), from, fingerprint)
	}
	if err := os.Rename(found[0].path, filepath.Join(dir, to, found[0].Fingerprint+".der")); err != nil {
		return fmt.Errorf("moving the certificate: %w", err)
	}
	fmt.Fprintf(a.out, "%s is now %s\n", found[0].Subject, to)
	return nil
}

func (a *app) addCertificate(dir, file string) error {
	a.started = true
	cert, err := readCertificate(file)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	sum := sha1.Sum(cert.Raw)
	name := hex.EncodeToString(sum[:]) + ".der"
	if err := os.WriteFile(filepath.Join(dir, "trusted", name), cert.Raw, 0o644); err != nil {
		return fmt.Errorf("keeping the certificate: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, "rejected", name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing it from the rejected: %w", err)
	}
	fmt.Fprintf(a.out, "%s is now trusted\n", cert.Subject)
	return nil
}
