package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"scada/cmd/internal/config"
	"scada/redundancy/pki"
)

// dialTimeout bounds the connection to the other node when the two are paired.
const dialTimeout = 10 * time.Second

// linkApp is what the commands about the link's certificates share. They work on the files of the node, beside the
// running node or without it.
type linkApp struct {
	path, node            string
	listen, connect, code string
	newKey                bool
}

func linkCommand(path *string) *cobra.Command {
	var a linkApp
	link := &cobra.Command{Use: "link", Short: "Show, pair and renew the certificates that secure the link between the nodes"}
	link.PersistentFlags().StringVar(&a.node, "node", "", "which node this is")
	with := func(do func(cmd *cobra.Command, l *pki.Link) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			a.path = *path
			l, err := a.open()
			if err != nil {
				return err
			}
			return do(cmd, l)
		}
	}
	pair := &cobra.Command{
		Use: "pair --node NAME (--listen HOST:PORT | --connect HOST:PORT --code CODE)", Args: cobra.NoArgs,
		Short: "Let the two nodes get to know each other's certificate by a one-time code",
		PreRunE: func(*cobra.Command, []string) error {
			if (a.listen == "") == (a.connect == "") {
				return fmt.Errorf("%w: one node listens (--listen HOST:PORT), the other connects to it (--connect HOST:PORT)", errUsage)
			}
			return nil
		},
		RunE: with(a.pair),
	}
	pair.Flags().StringVar(&a.listen, "listen", "", "wait for the other node on this address and print the code")
	pair.Flags().StringVar(&a.connect, "connect", "", "connect to the other node, which listens on this address")
	pair.Flags().StringVar(&a.code, "code", "", "the code that the other node has printed; asked for when not given")
	pair.Flags().BoolVar(&a.newKey, "new-key", false, "give this node a new key first: the old one was lost or may be in other hands")
	show := &cobra.Command{Use: "show --node NAME", Short: "Show the certificates", Args: cobra.NoArgs, RunE: with(a.show)}
	renew := &cobra.Command{Use: "renew --node NAME", Short: "Make the node's next certificate; the running nodes change over by themselves", Args: cobra.NoArgs, RunE: with(a.renew)}
	link.AddCommand(pair, show, renew)
	return link
}

// open opens the certificates of the node.
func (a *linkApp) open() (*pki.Link, error) {
	if a.node == "" {
		return nil, fmt.Errorf("%w: --node is required", errUsage)
	}
	cfg, err := config.Load(a.path)
	if err != nil {
		return nil, err
	}
	if _, ok := cfg.Nodes[a.node]; !ok {
		return nil, fmt.Errorf("%s has no node %q", a.path, a.node)
	}
	if cfg.Redundancy.TLS == nil {
		return nil, fmt.Errorf("%s does not secure the link: add redundancy: {tls: {dir: pki/link}}", a.path)
	}
	return pki.Open(pki.Options{Dir: cfg.LinkDir(a.node), Project: cfg.Project, Node: a.node, Peer: cfg.Peer(a.node), Validity: cfg.Redundancy.TLS.Validity})
}

func (a *linkApp) pair(cmd *cobra.Command, l *pki.Link) error {
	p, err := l.Pair(a.newKey)
	if err != nil {
		return err
	}
	var peer pki.Info
	if a.listen != "" {
		peer, err = a.wait(cmd.Context(), cmd.OutOrStdout(), p)
	} else {
		peer, err = a.join(cmd, p)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "paired with %s\n", peer.Node)
	return a.show(cmd, l)
}

func (a *linkApp) wait(ctx context.Context, out io.Writer, p *pki.Pairing) (pki.Info, error) {
	listener, err := net.Listen("tcp", a.listen)
	if err != nil {
		return pki.Info{}, err
	}
	v, err := p.Invite()
	if err != nil {
		return pki.Info{}, errors.Join(err, listener.Close())
	}
	fmt.Fprintf(out, "code: %s\nvalid until %s. On the other machine:\n  scadad link pair --config ... --node ... --connect %s --code %s\n",
		v.Code, v.Expires.Format(time.TimeOnly), listener.Addr(), v.Code)
	return v.Serve(ctx, listener)
}

func (a *linkApp) join(cmd *cobra.Command, p *pki.Pairing) (pki.Info, error) {
	if a.code == "" {
		fmt.Fprint(cmd.ErrOrStderr(), "code: ")
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 256)).ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			return pki.Info{}, fmt.Errorf("reading the code: %w", err)
		}
		a.code = line
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a.connect)
	if err != nil {
		return pki.Info{}, err
	}
	return p.Join(cmd.Context(), conn, a.code)
}

func (a *linkApp) show(cmd *cobra.Command, l *pki.Link) error {
	s := l.Status()
	line := func(what string, i pki.Info) {
		fmt.Fprintf(cmd.OutOrStdout(), "%-12s %s, expires %s\n", what, i.Fingerprint, i.Expires.UTC().Format(time.DateOnly))
	}
	line(a.node, s.Own)
	if s.Next != nil {
		line(a.node+" next", *s.Next)
	}
	for i, pin := range s.Pins {
		what := pin.Node + " pinned"
		if i > 0 {
			what = pin.Node + " next"
		}
		line(what, pin)
	}
	for _, why := range s.Problems {
		fmt.Fprintf(cmd.OutOrStdout(), "attention: %s\n", why)
	}
	return nil
}

func (a *linkApp) renew(cmd *cobra.Command, l *pki.Link) error {
	made, err := l.Renew()
	if err != nil {
		return err
	}
	if !made {
		fmt.Fprintln(cmd.OutOrStdout(), "a renewal waits for the other node already")
	} else {
		fmt.Fprintln(cmd.OutOrStdout(), "the next certificate was made; it is used as soon as the other node has pinned it")
	}
	return a.show(cmd, l)
}
