// Package server is the composition root: it makes one node of the pair out of the rooms of this repository.
//
// [New] builds and binds everything and registers its teardown at once; [Server.Run] serves until its context ends and
// tears down in reverse. Nothing here is global: tests run both nodes in one process.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition"
	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/cmd/internal/doctor"
	"scada/history"
	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/pki"
	"scada/redundancy/resource"
	"scada/redundancy/role"
	"scada/web"
	"scada/web/api"
	"scada/web/uaserver"
	"scada/web/ui"
)

// feedSize is how many alarm transitions and journal entries a client may fall behind before it starts afresh.
const feedSize = 20_000

// Options is what differs between a process, a test bubble and a namespace.
type Options struct {
	Config  *config.Config
	Node    string
	Version string
	Log     *slog.Logger
	Dial    func(ctx context.Context, network, address string) (net.Conn, error) // nil: the real network
	Listen  func(network, address string) (net.Listener, error)                  // nil: the real network
	// Notice is where the one-time password of a plant without an administrator is written; nil: none is made.
	Notice io.Writer
	// LogLevel is the level Log is written at, to be changed at run time; nil: it cannot be.
	LogLevel *slog.LevelVar
	// LogTail is the end of the log for a support bundle; nil: there is none in it.
	LogTail *LogTail
	// Resource makes a switchable resource; nil: [NewResource].
	Resource func(config.Resource) (resource.Resource, error)
}

// Server is one node.
type Server struct {
	*lifecycle
	// cfg is the configuration this node was started with. What a running node can change of it is in the generation.
	cfg      *config.Config
	opts     Options
	gen      atomic.Pointer[generation]
	conf     *configurator
	ua       atomic.Pointer[uaserver.Server] // nil: there is none
	nodeName string
	version  string
	log      *slog.Logger
	started  time.Time

	store   *history.Store
	journal *journal.Journal
	pair    *redundancy.Node
	link    *pki.Link // nil when the link is not secured
	// linkTrouble is what is wrong with its certificates.
	linkTrouble atomic.Pointer[[]string]
	web         *web.Server
	alarmFeed   *web.Feed[api.AlarmChange]
	entryFeed   *web.Feed[api.JournalEntry]
	agreed      *agreement
	vigil       *vigil
	clients     *clients
	switches    *switches
	people      *roster
	drawings    *drawings
	proofs      *proofs
	webKeys     *web.Keys // nil: plain HTTP
	webTrouble  atomic.Pointer[[]string]
	level       *logLevel
	logTail     *LogTail
	dial        doctor.Dial // nil: the real network

	areas     map[string]*area
	areaNames []string
	nodeNames []string
	healers   map[string]*healer
	resources map[string]*resource.Manager
	health    atomic.Pointer[assessment]
	late      *lateness
	pace      *pace // of back-filling
	network   *clientNetwork

	problemMu sync.Mutex
	problems  map[string]string // area -> why it is not mirrored
}

// New builds a node. On an error everything built so far is torn down.
func New(opts Options) (*Server, error) {
	cfg := opts.Config
	node, ok := cfg.Nodes[opts.Node]
	if !ok {
		return nil, fmt.Errorf("the configuration has no node %q", opts.Node)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Listen == nil {
		opts.Listen = net.Listen
	}
	log := opts.Log.With("node", opts.Node)
	s := &Server{
		lifecycle: newLifecycle(log), cfg: cfg, nodeName: opts.Node, version: opts.Version, log: log, started: time.Now().UTC(),
		opts: opts, areas: map[string]*area{}, healers: map[string]*healer{}, resources: map[string]*resource.Manager{},
		problems: map[string]string{}, nodeNames: slices.Sorted(maps.Keys(cfg.Nodes)),
		alarmFeed: web.NewFeed[api.AlarmChange](feedSize), entryFeed: web.NewFeed[api.JournalEntry](feedSize),
	}
	s.level, s.logTail, s.dial = newLogLevel(opts.LogLevel, log), opts.LogTail, opts.Dial
	s.onStop("log level", func(context.Context) error { s.level.stop(); return nil })
	s.clients = newClients(s)
	first, err := newGeneration(cfg, nil)
	if err != nil {
		return nil, err
	}
	s.gen.Store(first)
	s.health.Store(&assessment{at: time.Now()})
	heartbeat := cfg.Redundancy.Heartbeat
	s.vigil = newVigil(heartbeat*time.Duration(cfg.Redundancy.Misses)-heartbeat/2, heartbeat)
	s.late = newLateness(heartbeat * time.Duration(cfg.Redundancy.Misses))
	s.pace = &pace{rate: func() int64 { return s.now().cfg.History.Backfill }, late: func() bool { return s.late.worst(time.Now()) > s.late.limit/2 }}
	s.network = newClientNetwork(opts, node)
	if err := s.build(opts, node); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// now is the generation this node runs.
func (s *Server) now() *generation { return s.gen.Load() }

// build makes the parts from the bottom up; each registers its teardown the moment it exists.
func (s *Server) build(opts Options, node config.Node) error {
	if err := s.buildResources(opts); err != nil {
		return err
	}
	if err := os.MkdirAll(node.Data, 0o750); err != nil {
		return fmt.Errorf("creating the data folder: %w", err)
	}
	if err := s.openConfiguration(node); err != nil {
		return err
	}
	if err := s.openArchives(node); err != nil {
		return err
	}
	if err := s.buildAreas(opts, node); err != nil {
		return err
	}
	if err := s.buildPair(opts, node); err != nil {
		return err
	}
	if err := s.buildWeb(opts, node); err != nil {
		return err
	}
	return s.start(opts, node)
}

func (s *Server) openArchives(node config.Node) error {
	store, err := history.Open(filepath.Join(node.Data, "history"), history.Options{
		Tags: recordAll(s.now().cfg.Tags), Retention: s.now().cfg.History.Raw, Hourly: s.now().cfg.History.Hourly, MaxDisk: s.now().cfg.History.MaxDisk, WhenFull: s.whenFull(), Logger: s.log.With("component", "history"),
	})
	if err != nil {
		return fmt.Errorf("opening the history: %w", err)
	}
	s.store = store
	s.onStop("history", func(context.Context) error { return store.Close() })
	j, err := journal.Open(filepath.Join(node.Data, "journal.db"), journal.Options{})
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	s.journal = j
	s.onStop("journal", func(context.Context) error { return j.Close() })
	s.agreed = openAgreement(node.Data)
	s.switches = openSwitches(s, node.Data)
	s.openPeople(node.Data)
	s.proofs = &proofs{s: s, wrong: map[string]bool{}}
	return s.openDrawings(node.Data)
}

// pruneEvery is how often what is too old leaves the journal; the history does that by itself.
const pruneEvery = time.Hour

func (s *Server) pruneJournal(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if n, err := s.journal.Prune(time.Now().Add(-s.now().cfg.History.Journal).UnixNano()); err != nil {
			s.log.Error("Old entries could not be removed from the journal", "error", err)
		} else if n > 0 {
			s.log.Info("Old entries were removed from the journal", "entries", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// pages are the tags of named pages: everything writable or alarmed is on the overview.
func pages(cfg *config.Config) map[string][]string {
	overview := map[string]bool{}
	for _, a := range cfg.Alarms.Alarms {
		overview[a.Tag] = true
	}
	for _, t := range cfg.Tags {
		if t.Writable {
			overview[t.Name] = true
		}
	}
	delete(overview, "")
	return map[string][]string{"overview": slices.Sorted(maps.Keys(overview))}
}

func (s *Server) buildAreas(opts Options, node config.Node) error {
	for _, a := range s.cfg.Areas {
		s.areaNames = append(s.areaNames, a.Name)
		area, err := s.buildArea(a.Name, opts, node)
		if err != nil {
			return fmt.Errorf("area %s: %w", a.Name, err)
		}
		h := &healer{s: s, area: a.Name, wake: make(chan struct{}, 1), news: make(chan struct{}, 1), wanted: newStretch()}
		h.left.Store(1) // nothing has been compared yet: not ready, should this node be the standby
		area.tell, area.want = h.tell, h.wanted.add
		area.image = newImage(area, node.Data)
		area.image.load()
		s.areas[a.Name], s.healers[a.Name] = area, h
	}
	return nil
}

func (s *Server) buildArea(name string, opts Options, node config.Node) (*area, error) {
	g := s.now()
	plan := g.plans[name]
	a := &area{
		name: name, node: s.nodeName, log: s.log, live: g.live, store: s.store, digest: g.cfg.Digest, wake: make(chan struct{}, 1),
		unit: s.unit, keep: newKeeper(g.cfg.Tags), vigil: s.vigil, resources: s.resources[name], conf: s.conf,
		areaPlan: plan, engine: plan.engine, flood: plan.alarms.Flood,
	}
	var err error
	if a.notify, err = s.buildNotifier(a, opts, node); err != nil {
		return nil, err
	}
	a.apps = s.newApps(a)
	a.export = s.buildExporter(a, node)
	var sources []acquisition.Source
	for _, c := range g.cfg.Channels(name) {
		f, err := s.buildFeed(a, g, c)
		if err != nil {
			return nil, err
		}
		sources = append(sources, f)
	}
	if err := a.apps.adoptFeeds(sources, g); err != nil {
		return nil, err
	}
	a.group, err = acquisition.NewGroup(sources, func(f acquisition.FirstGood) { s.firstGood(name, f) })
	a.proof = s.newProof(a)
	a.lookout = s.newLookout(a, sources)
	return a, err
}

// newProof is made anew with each generation: the tag it looks at may have another number.
func (s *Server) newProof(a *area) *proof {
	return newProof(a.own, func(missed, duplicates int) { s.pair.Proof(a.name, missed, duplicates) })
}

// firstGood completes the record of the switch-over: every device has delivered its first values, or does not answer.
func (s *Server) firstGood(area string, f acquisition.FirstGood) {
	s.switches.firstGood(area, f)
	s.pair.FirstValue(area, lastGood(f))
	took := make([]any, 0, 2*len(f.Devices))
	for _, d := range f.Devices {
		if d.Err != nil {
			took = append(took, slog.String(d.Device, d.Err.Error()))
		} else {
			took = append(took, slog.Duration(d.Device, d.At.Sub(f.Started)))
		}
	}
	s.log.Info("The devices have delivered their first values", "area", area, slog.Group("after", took...))
}

// lastGood is when the last device that answers had delivered its first values.
func lastGood(f acquisition.FirstGood) time.Time {
	at := f.Started
	for _, d := range f.Devices {
		if d.Err == nil && d.At.After(at) {
			at = d.At
		}
	}
	return at
}

func (s *Server) unit(tagName string) string {
	def, _ := s.now().definition(tagName)
	return def.Unit
}

// alarmArea returns the area a condition belongs to.
func (s *Server) alarmArea(condition string) (string, bool) {
	name, ok := s.now().alarmsOf[condition]
	return name, ok
}

func (s *Server) buildPair(opts Options, node config.Node) error {
	peer := s.cfg.Nodes[s.cfg.Peer(s.nodeName)]
	r := s.cfg.Redundancy
	failback, err := role.ParseFailback(r.Failback)
	if err != nil {
		return err
	}
	policy, err := role.ParsePolicy(r.Policy)
	if err != nil {
		return err
	}
	c := redundancy.Config{
		Project: s.cfg.Project, Version: s.version, Digest: s.now().cfg.Digest, Self: s.nodeName, Peer: peer.Name, DataDir: node.Data,
		Heartbeat: r.Heartbeat, Misses: r.Misses, JoinWait: r.JoinWait, Failback: failback, HoldOff: r.HoldOff, Policy: policy,
		HealthMargin: r.HealthMargin,
	}
	for _, a := range s.cfg.Areas {
		c.Areas = append(c.Areas, redundancy.Area{Name: a.Name, Primary: a.Primary})
	}
	for _, name := range slices.Sorted(maps.Keys(node.Links)) {
		c.Paths = append(c.Paths, redundancy.Path{Name: name, Listen: node.Links[name], Peer: peer.Links[name]})
	}
	if err := s.secureLink(&c); err != nil {
		return err
	}
	w, err := s.buildWitness(opts, node)
	if err != nil {
		return err
	}
	s.pair, err = redundancy.New(redundancy.Options{
		Config: c, Host: host{s}, Event: s.pairEvent, Log: s.log.With("component", "redundancy"), Dial: opts.Dial, Listen: opts.Listen, Witness: w,
	})
	if err != nil {
		return err
	}
	for _, name := range s.areaNames {
		a := s.areas[name]
		a.publish = s.pair.Publish
		a.commit = &committer{
			area: name, log: s.log, journal: s.journal, store: s.store, pair: s.pair, alarms: s.alarmFeed, entries: s.entryFeed,
			wake: make(chan struct{}, 1),
		}
	}
	return nil
}

// pairEvent writes what happens to the pair into the journal; the pair itself writes the log.
func (s *Server) pairEvent(ev redundancy.Event) {
	a := s.areas[s.areaNames[0]]
	if ev.Area != "" && s.areas[ev.Area] != nil {
		a = s.areas[ev.Area]
	}
	e := s.newEntry(journal.ClassRole, ev.What, ev.Area, s.nodeName, alarms.System, ev.Reason)
	e.Epoch = ev.Epoch
	a.record(e)
}

func (s *Server) buildWeb(opts Options, node config.Node) error {
	cfg := web.Config{
		Node: s.nodeName, Address: node.HTTP, PairKey: s.cfg.Web.PairKey, Origins: s.origins(), Mimics: os.DirFS(s.drawings.store), Backup: s.backup, Archive: archive{s}, Configuration: s.conf, Diagnosis: s, Clients: s.clients.page, Log: s.log.With("component", "web"), Listen: opts.Listen,
	}
	if ui.Built() {
		cfg.UI = ui.Files()
	}
	var err error
	cfg.People, cfg.VerifyJournal, cfg.PeerSessions = s.people, s.proofs.verify, s.people.sessions.others
	cfg.HistoryTargets = s.historyTargets
	if err := s.secureWeb(&cfg); err != nil {
		return err
	}
	if err := s.vouched(&cfg, opts); err != nil {
		return err
	}
	if cfg.Users, cfg.Tokens, err = s.people.accounts(); err != nil {
		return err
	}
	if s.web, err = web.New(cfg, backend{s}); err != nil {
		return err
	}
	s.web.Registry().MustRegister(newCollector(s), newNodeCollector(s), newExportCollector(s))
	return s.web.Start()
}

// origins are the web addresses of both nodes, this one's first.
func (s *Server) origins() []string {
	if len(s.cfg.Web.Origins) > 0 {
		return s.cfg.Web.Origins
	}
	scheme := "http://"
	if s.cfg.Web.TLSDir != "" {
		scheme = "https://"
	}
	own := scheme + s.cfg.Nodes[s.nodeName].HTTP
	return []string{own, scheme + s.cfg.Nodes[s.cfg.Peer(s.nodeName)].HTTP}
}

// start spawns the tasks. The last one spawned is the first to stop: clients go before the pair, the pair before what
// writes to disk.
func (s *Server) start(opts Options, node config.Node) error {
	for _, name := range s.areaNames {
		s.spawn("probes of "+name, s.areas[name].lookout.run)
		s.spawn("image of "+name, s.areas[name].image.run)
		s.spawn("outbox of "+name, s.areas[name].notify.keep)
		s.spawn("applications of "+name, s.areas[name].apps.run)
		s.spawn("deployment folder of "+name, s.areas[name].apps.watch)
		s.spawn("committer of "+name, s.areas[name].commit.run)
		s.spawn("healer of "+name, s.healers[name].run)
	}
	s.spawn("what the engines have", s.exporter().keep)
	s.spawn("configuration", s.conf.run)
	s.spawn("trials of the configuration", s.conf.tries)
	s.spawn("retention of the journal", s.pruneJournal)
	s.spawn("scrub of the history", s.scrub)
	s.spawn("vigil", s.vigil.run)
	s.spawn("lateness", s.late.run)
	s.spawn("client network", s.network.run)
	s.spawn("health", s.watchHealth)
	s.spawn("records of switches", s.switches.run)
	s.spawn("users", s.people.run(opts.Notice))
	s.spawn("drawings", s.drawings.run)
	s.spawn("heads of the journals", s.proofs.run)
	s.spawn("web certificate", s.watchWebKeys)
	s.keepLink(opts.Dial)
	s.spawn("pair", s.pair.Run)
	if node.OPCUA != "" {
		ua, err := s.newUAServer(s.nodeName)
		if err != nil {
			return err
		}
		s.ua.Store(ua)
		l, err := opts.Listen("tcp", node.OPCUA)
		if err != nil {
			return fmt.Errorf("opc ua server: listen on %s: %w", node.OPCUA, err)
		}
		s.spawn("opc ua server", func(ctx context.Context) error { return ua.Serve(ctx, l) })
	}
	s.spawn("web", s.web.Run)
	s.station("node-started")
	return nil
}

// Run serves until ctx ends or a part fails, then stops everything in order.
func (s *Server) Run(ctx context.Context) error {
	var cause error
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
		cause = context.Cause(s.ctx)
	}
	s.station("node-stopped")
	return errors.Join(cause, s.stop())
}

// WebAddr returns the address of the HTTP server, useful when it was configured with port 0.
func (s *Server) WebAddr() net.Addr { return s.web.Addr() }
