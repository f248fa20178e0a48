package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
)

const (
	defaultServers = "http://127.0.0.1:8081,http://127.0.0.1:8082"
	defaultTimeout = 10 * time.Second
	roleTimeout    = 60 * time.Second // a drill is two switches
)

// app is one invocation.
type app struct {
	world
	server, token, credentials, ca string
	fingerprint                    string
	makesFile                      bool          // a log-in writes the credentials
	lines                          *bufio.Reader // of a standard input that is no terminal
	format                         string
	timeout                        time.Duration
	started                        bool // a command runs: what fails now is no usage error
	timeoutSet                     bool
}

// exitError carries an exit code of its own. An empty message has been said already.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, w world) int {
	a := &app{world: w}
	root := a.root()
	root.SetArgs(negativeLast(args))
	root.SetIn(w.in)
	root.SetOut(w.out)
	root.SetErr(w.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := a.exitCode(err)
	if text := err.Error(); text != "" {
		fmt.Fprintf(w.err, "scadactl: %s\n", text)
	}
	if code == exitUsage {
		fmt.Fprintln(w.err, "try: scadactl --help")
	}
	return code
}

func (a *app) exitCode(err error) int {
	var own *exitError
	var p *api.Problem
	var gone *api.Unreachable
	switch {
	case errors.As(err, &own):
		return own.code
	case !a.started:
		return exitUsage
	case errors.As(err, &gone):
		return exitUnreachable
	case errors.As(err, &p) && p.Refused():
		return exitRefused
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "scadactl", Short: "Operate a pair of SCADA servers",
		Long:          "Operate a pair of SCADA servers.\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the server, 4 no server reached.",
		Version:       version,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.timeoutSet = cmd.Flags().Changed("timeout")
			switch a.format {
			case "table", "json", "csv":
			default:
				return usage("-o %s: want table, json or csv", a.format)
			}
			return nil
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "servers to try in order, separated by commas (SCADACTL_SERVER; default "+defaultServers+")")
	f.StringVar(&a.token, "token", "", "bearer token (SCADACTL_TOKEN)")
	f.StringVar(&a.credentials, "credentials", "", "file of mode 0600 with SCADACTL_SERVER=… and SCADACTL_TOKEN=… (SCADACTL_CREDENTIALS; default "+credentialsHint+")")
	f.StringVar(&a.ca, "ca", "", "PEM file of the authority the servers' certificates are from (SCADACTL_CA)")
	f.StringVar(&a.fingerprint, "fingerprint", "", "trust only servers whose certificate has this SHA-256; several with commas (SCADACTL_FINGERPRINT)")
	f.StringVarP(&a.format, "output", "o", "table", "table, json or csv")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "time for the whole command")
	root.AddCommand(a.roleCommand(), a.tagCommand(), a.alarmCommand(), a.journalCommand(), a.historyCommand(), a.backupCommand(),
		a.deviceCommand(), a.appCommand(), a.configCommand(), a.nodeCommand(), a.topCommand(), a.userCommand(), a.loginCommand(), a.certCommand())
	return root
}

// group is a command that only has others below it.
func group(name, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, b := range cmd.Commands() {
			names = append(names, b.Name())
		}
		if len(args) > 0 {
			return usage("%s has no %q; it has: %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
		}
		return usage("%s needs one of: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}}
	c.AddCommand(below...)
	return c
}

// action is the body of a command that talks to a server.
type action func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error

// ask makes a command's body: credentials, client and time limit first.
func (a *app) ask(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		defer cancel()
		return a.with(ctx, cmd, args, do)
	}
}

// follow is ask without an end: until the user has seen enough, or --timeout if given.
func (a *app) follow(do action) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, cancel := cmd.Context(), func() {}
		if a.timeoutSet {
			ctx, cancel = context.WithTimeout(ctx, a.timeout)
		}
		defer cancel()
		err := a.with(ctx, cmd, args, do)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil
		}
		return err
	}
}

func (a *app) with(ctx context.Context, cmd *cobra.Command, args []string, do action) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	a.started = true
	return do(ctx, c, cmd, args)
}

// client puts together servers and token: flag before environment before file.
func (a *app) client() (*api.Client, error) {
	file, err := a.readCredentials()
	if err != nil {
		return nil, err
	}
	first := func(texts ...string) string {
		for _, t := range texts {
			if t != "" {
				return t
			}
		}
		return ""
	}
	servers := first(a.server, a.getenv("SCADACTL_SERVER"), file["SCADACTL_SERVER"], defaultServers)
	token := first(a.token, a.getenv("SCADACTL_TOKEN"), file["SCADACTL_TOKEN"])
	transport, err := newTransport(first(a.ca, a.getenv("SCADACTL_CA"), file["SCADACTL_CA"]),
		first(a.fingerprint, a.getenv("SCADACTL_FINGERPRINT"), file["SCADACTL_FINGERPRINT"]))
	if err != nil {
		return nil, err
	}
	c, err := api.NewClient(strings.Split(servers, ","), token, transport)
	if err != nil {
		return nil, usage("%v", err)
	}
	return c, nil
}

// newTransport trusts the authorities of the system, or those of a file, or nothing but the certificates with the
// fingerprints given.
func newTransport(ca, fingerprints string) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if fingerprints != "" {
		check, err := pinned(fingerprints)
		if err != nil {
			return nil, err
		}
		// Not who signed it counts but which it is: VerifyConnection compares it in every handshake, resumed ones too.
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, VerifyConnection: check, MinVersion: tls.VersionTLS12}
		return t, nil
	}
	if ca == "" {
		return t, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, usage("--ca: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usage("--ca %s holds no certificate", ca)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// pinned accepts the certificates whose SHA-256 is in the list.
func pinned(fingerprints string) (func(tls.ConnectionState) error, error) {
	want := map[string]bool{}
	for _, f := range strings.Split(fingerprints, ",") {
		f = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(f))
		if b, err := hex.DecodeString(f); err != nil || len(b) != sha256.Size {
			return nil, usage("--fingerprint %s: want the SHA-256 of a certificate in 64 hexadecimal digits", f)
		}
		want[f] = true
	}
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server has shown no certificate")
		}
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		if got := hex.EncodeToString(sum[:]); !want[got] {
			return fmt.Errorf("the server's certificate has the fingerprint %s, which is not one that is trusted", got)
		}
		return nil
	}, nil
}

const (
	credentialsHint = "scadactl/credentials in the user's configuration directory"
	maxCredentials  = 64 << 10 // bytes
)

// credentialsFile is where servers and token are kept.
func (a *app) credentialsFile() (string, error) {
	for _, name := range []string{a.credentials, a.getenv("SCADACTL_CREDENTIALS")} {
		if name != "" {
			return name, nil
		}
	}
	dir := a.getenv("XDG_CONFIG_HOME")
	if home := a.getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config")
	}
	if dir == "" {
		return "", usage("--credentials is required: neither HOME nor XDG_CONFIG_HOME says where to keep it")
	}
	return filepath.Join(dir, "scadactl", "credentials"), nil
}

// readCredentials reads the file of names and values. A file others can read is refused: the token in it is a password.
func (a *app) readCredentials() (map[string]string, error) {
	name, err := a.credentialsFile()
	if err != nil {
		return nil, nil
	}
	asked := (a.credentials != "" || a.getenv("SCADACTL_CREDENTIALS") != "") && !a.makesFile
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist) && !asked:
		return nil, nil
	case err != nil:
		return nil, usage("credentials: %v", err)
	case info.Mode().Perm()&0o077 != 0:
		return nil, usage("credentials: %s has mode %04o, others can read it; chmod 600 it", name, info.Mode().Perm())
	case info.Size() > maxCredentials:
		return nil, usage("credentials: %s has more than %d bytes", name, maxCredentials)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("credentials: %v", err)
	}
	file := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok && !strings.HasPrefix(key, "#") {
			file[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return file, nil
}
