package main

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scada/web/api"
)

const (
	topEvery = time.Second     // between two pictures
	topWait  = 2 * time.Second // for the answer of one server: a dead one must not hold up the others
	topRows  = 200             // alarms that are asked for
)

// reading is what one server said at one moment.
type reading struct {
	Server  string       `json:"server"`
	At      time.Time    `json:"at"`
	Error   string       `json:"error,omitempty"`
	Node    api.NodeInfo `json:"node"`
	Pair    api.Pair     `json:"pair"`
	Devices []api.Device `json:"devices"`
	Alarms  api.Alarms   `json:"alarms"`
}

// picture is what all servers said, and the rates since the picture before.
type picture struct {
	At       time.Time          `json:"at"`
	Readings []reading          `json:"servers"`
	Records  float64            `json:"records_per_s"` // mirrored
	Requests map[string]float64 `json:"requests_per_s"`
}

func (a *app) topCommand() *cobra.Command {
	return &cobra.Command{Use: "top", Short: "A live screen: roles, paths, lag, devices, alarms and rates; one picture when the output is no terminal", Args: cobra.NoArgs,
		RunE: a.follow(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			out, ok := a.out.(*os.File)
			if !ok || !term.IsTerminal(int(out.Fd())) || a.format != "table" {
				return a.topOnce(ctx, c)
			}
			return liveTop(ctx, c, a.in, out)
		})}
}

// topOnce prints one picture; two are taken, because a rate needs both.
func (a *app) topOnce(ctx context.Context, c *api.Client) error {
	servers := c.Servers()
	first := look(ctx, c, servers, picture{})
	if first.dead() { // or only too slow for one picture
		if _, err := c.Role(ctx); err != nil {
			return err
		}
		first = look(ctx, c, servers, picture{})
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(topEvery):
	}
	p := look(ctx, c, servers, first)
	if a.format == "json" {
		return a.print(table{value: p})
	}
	if a.format == "csv" {
		return a.print(p.table())
	}
	_, err := io.WriteString(a.out, p.view(screenSize{}))
	return err
}

// look asks every server by itself and at the same time.
func look(ctx context.Context, c *api.Client, servers []string, before picture) picture {
	p := picture{At: time.Now(), Readings: make([]reading, len(servers))}
	ctx, cancel := context.WithTimeout(ctx, topWait)
	defer cancel()
	var asked sync.WaitGroup
	for i, server := range servers {
		asked.Go(func() { p.Readings[i] = read(ctx, c.Only(server), server) })
	}
	asked.Wait()
	p.rates(before)
	return p
}

func read(ctx context.Context, c *api.Client, server string) reading {
	r := reading{Server: server}
	var err error
	for _, ask := range []func() error{
		func() (err error) { r.Node, err = c.Node(ctx); return err },
		func() (err error) { r.Pair, err = c.Role(ctx); return err },
		func() error {
			d, err := c.Devices(ctx)
			r.Devices = d.Devices
			return err
		},
		func() (err error) { r.Alarms, err = c.Alarms(ctx, api.AlarmFilter{Limit: topRows}); return err },
	} {
		if err = ask(); err != nil {
			r.Error = err.Error()
			break
		}
	}
	r.At = time.Now()
	return r
}

func (p picture) dead() bool { return p.best() == nil }

// best is the server to believe: one that answers and is active, else one that answers.
func (p picture) best() *reading {
	var found *reading
	for i := range p.Readings {
		r := &p.Readings[i]
		if r.Error != "" {
			continue
		}
		if found == nil {
			found = r
		}
		own, _ := r.Pair.Find(r.Node.Node)
		for _, area := range own.Areas {
			if area.Role == api.RoleActive {
				return r
			}
		}
	}
	return found
}

// rates compares the counters of the best server with what the same server said before. A counter that went back belongs to
// a node that has started anew.
func (p *picture) rates(before picture) {
	p.Requests = map[string]float64{}
	now := p.best()
	if now == nil {
		return
	}
	for _, old := range before.Readings {
		elapsed := now.At.Sub(old.At).Seconds()
		if old.Server != now.Server || old.Error != "" || elapsed <= 0 || !old.Node.StartedAt.Equal(now.Node.StartedAt) {
			continue
		}
		counts := map[string]uint64{}
		for _, d := range old.Devices {
			counts[d.Name] = d.Requests
		}
		for _, d := range now.Devices {
			if c, ok := counts[d.Name]; ok && d.Requests >= c {
				p.Requests[d.Name] = float64(d.Requests-c) / elapsed
			}
		}
		was, _ := old.Pair.Find(now.Node.Node)
		is, _ := now.Pair.Find(now.Node.Node)
		if is.Mirror.AppliedSeq >= was.Mirror.AppliedSeq {
			p.Records = float64(is.Mirror.AppliedSeq-was.Mirror.AppliedSeq) / elapsed
		}
	}
}

// screen is the live view. Its methods are called one after the other by the library.
type screen struct {
	ctx     context.Context
	client  *api.Client
	servers []string
	size    screenSize
	now     picture
}

type taken picture

func liveTop(ctx context.Context, c *api.Client, in io.Reader, out *os.File) error {
	s := screen{ctx: ctx, client: c, servers: c.Servers()}
	_, err := tea.NewProgram(s, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithoutSignalHandler()).Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Init implements [tea.Model].
func (s screen) Init() tea.Cmd { return s.take(0) }

func (s screen) take(after time.Duration) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-s.ctx.Done():
			return tea.Quit()
		case <-time.After(after):
		}
		return taken(look(s.ctx, s.client, s.servers, s.now))
	}
}

// Update implements [tea.Model].
func (s screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.KeyMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return s, tea.Quit
		}
	case tea.WindowSizeMsg:
		s.size = screenSize{msg.Width, msg.Height}
	case taken:
		s.now = picture(msg)
		return s, s.take(topEvery)
	}
	return s, nil
}

// View implements [tea.Model].
func (s screen) View() string {
	if s.now.At.IsZero() {
		return "asking " + clean(s.servers[0]) + " …"
	}
	return s.now.view(s.size)
}
