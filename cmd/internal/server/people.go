package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/web"
	"scada/web/api"
	"scada/web/people"
)

const (
	// peopleEvery is how often the standby compares its users with the active's.
	peopleEvery = time.Second
	// peopleWithin bounds one comparison, and how long a change waits for the standby to have it.
	peopleWithin = 3 * time.Second
	peopleFile   = "people.json"
	// maxPeople is the most bytes that file may have: every user and token with a role in every area.
	maxPeople = 16 << 20
)

// roster is the users and tokens on this node: those the plant file declares and those added since. Both nodes hold
// them all; the active of the first area decides changes, the standby compares what it has every second.
type roster struct {
	s    *Server
	path string

	mu   sync.Mutex
	book *people.Book
	peer string        // digest of what the other node had when it last said so
	news chan struct{} // closed and replaced when that changes

	sessions sessionBook
}

// openPeople reads the users that were added. A file that cannot be read is kept beside: the plant's own users and those
// of the other node remain.
func (s *Server) openPeople(dir string) {
	r := &roster{s: s, path: filepath.Join(dir, peopleFile), book: people.NewBook(), news: make(chan struct{})}
	b, err := readStored(r.path, maxPeople)
	if err == nil {
		var stored people.State
		if err = json.Unmarshal(b, &stored); err == nil {
			_, err = r.book.Merge(now(), stored)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("The stored users cannot be used: those of the plant file and of the other node remain", "file", r.path, "error", err)
		_ = os.Rename(r.path, r.path+".bad") // evidence; the start does not depend on it
	}
	r.declare(s.cfg)
	s.people = r
}

// declare takes over the users of a configuration.
func (r *roster) declare(cfg *config.Config) {
	users, tokens := declared(cfg)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Declare(users, tokens)
}

// declared are the users and tokens of a configuration.
func declared(cfg *config.Config) ([]people.User, []people.Token) {
	var users []people.User
	for _, u := range cfg.Users {
		users = append(users, people.User{Name: u.Name, Access: people.Access{Role: u.Role, Areas: u.Areas}, Hash: u.PasswordHash})
	}
	var tokens []people.Token
	for _, t := range cfg.Tokens {
		tokens = append(tokens, people.Token{Name: t.Name, Access: people.Access{Role: t.Role, Areas: t.Areas}, Hash: t.Hash})
	}
	return users, tokens
}

// accounts are the users and tokens as the web server takes them. The caller holds the mutex.
func (r *roster) accounts() ([]web.User, []web.Token, error) {
	var users []web.User
	for _, u := range r.book.Users() {
		role, areas, err := webAccess(u.Access)
		if err != nil {
			return nil, nil, fmt.Errorf("user %s: %w", u.Name, err)
		}
		users = append(users, web.User{Name: u.Name, Role: role, Areas: areas, Hash: u.Hash, Locked: u.Locked, MustChange: u.MustChange})
	}
	var tokens []web.Token
	for _, t := range r.book.Tokens() {
		role, areas, err := webAccess(t.Access)
		if err != nil {
			return nil, nil, fmt.Errorf("token %s: %w", t.Name, err)
		}
		tok := web.Token{Name: t.Name, Role: role, Areas: areas, Hash: t.Hash}
		if t.Expires != 0 {
			tok.Expires = time.Unix(0, t.Expires)
		}
		tokens = append(tokens, tok)
	}
	return users, tokens, nil
}

func webAccess(a people.Access) (web.Role, map[string]web.Role, error) {
	role, err := web.ParseRole(a.Role)
	if err != nil || len(a.Areas) == 0 {
		return role, nil, err
	}
	areas := map[string]web.Role{}
	for area, name := range a.Areas {
		if areas[area], err = web.ParseRole(name); err != nil {
			return role, nil, err
		}
	}
	return role, areas, nil
}

// store writes the records to disk and tells the web server. The caller holds the mutex.
func (r *roster) store() error {
	b, err := json.Marshal(r.book.State())
	if err != nil {
		return fmt.Errorf("encoding the users: %w", err)
	}
	if err := replaceFile(r.path, b, storedFileMode); err != nil {
		return fmt.Errorf("storing the users: %w", err)
	}
	return r.tell()
}

func (r *roster) tell() error {
	users, tokens, err := r.accounts()
	if err != nil {
		return err
	}
	if r.s.web == nil { // it is built with the users
		return nil
	}
	return r.s.web.SetAccounts(users, tokens)
}

// Users implements [web.People].
func (r *roster) Users() []api.User {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []api.User
	for _, u := range r.book.Users() {
		out = append(out, api.User{Name: u.Name, Role: u.Role, Areas: u.Areas, Locked: u.Locked, MustChange: u.MustChange, Declared: u.Declared,
			ChangedAt: instant(u.Changed), ChangedBy: u.By})
	}
	return out
}

// Tokens implements [web.People].
func (r *roster) Tokens() []api.AccessToken {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []api.AccessToken
	for _, t := range r.book.Tokens() {
		out = append(out, api.AccessToken{Name: t.Name, Role: t.Role, Areas: t.Areas, ExpiresAt: instant(t.Expires), Declared: t.Declared,
			ChangedAt: instant(t.Changed), ChangedBy: t.By})
	}
	return out
}

// peopleRequest is a change that the active decides, or a comparison the standby asks for.
type peopleRequest struct {
	Change *people.Change `json:"change,omitempty"`
	Remote string         `json:"remote,omitempty"`
	Digest string         `json:"digest,omitempty"` // of what the asking node has
	State  *people.State  `json:"state,omitempty"`  // of the asking node

	Sessions *sessionNews `json:"sessions,omitempty"` // with a comparison
}

// peopleAnswer is the records the asking node lacks, or why not.
type peopleAnswer struct {
	State    *people.State `json:"state,omitempty"`
	Mirrored bool          `json:"mirrored,omitempty"`
	Problem  *api.Problem  `json:"problem,omitempty"`
	Sessions *sessionNews  `json:"sessions,omitempty"`
}

// Change implements [web.People].
func (r *roster) Change(ctx context.Context, by web.Actor, c web.PeopleChange) (bool, error) {
	change := people.Change{Verb: c.Verb, Name: c.Name, Hash: c.Hash, MustChange: c.MustChange, By: by.User}
	if c.Role != web.Nobody {
		change.Role = c.Role.String()
	}
	for area, role := range c.Areas {
		if change.Areas == nil {
			change.Areas = map[string]string{}
		}
		change.Areas[area] = role.String()
	}
	if !c.Expires.IsZero() {
		change.Expires = c.Expires.UnixNano()
	}
	ans, err := r.ask(ctx, peopleRequest{Change: &change, Remote: by.Remote}, r.s.forward)
	if err != nil {
		return false, forwardProblem(err)
	}
	if ans.Problem != nil {
		return false, ans.Problem
	}
	return ans.Mirrored, r.take(ans.State)
}

// ask has the active of the first area carry out a request.
func (r *roster) ask(ctx context.Context, req peopleRequest, by func(ctx context.Context, area string, payload []byte) ([]byte, error)) (peopleAnswer, error) {
	var ans peopleAnswer
	payload, err := request{Op: opPeople, People: &req}.encode(nil)
	if err != nil {
		return ans, err
	}
	b, err := by(ctx, r.s.areaNames[0], payload)
	if err != nil {
		return ans, err
	}
	if err := json.Unmarshal(b, &ans); err != nil {
		return ans, fmt.Errorf("answer of the active node about users: %w", err)
	}
	return ans, nil
}

// take merges what the other node knows.
func (r *roster) take(state *people.State) error {
	if state == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, err := r.book.Merge(now(), *state)
	if err != nil || !changed {
		return err
	}
	return r.store()
}

// here carries out a request on the active node.
func (r *roster) here(ctx context.Context, req peopleRequest) peopleAnswer {
	if req.Change == nil {
		return r.compared(req)
	}
	r.mu.Lock()
	done, err := r.book.Apply(now(), *req.Change)
	var stored error
	if err == nil {
		stored = r.store()
	}
	digest := r.book.Digest()
	r.mu.Unlock()
	if err != nil {
		return peopleAnswer{Problem: peopleProblem(err)}
	}
	r.journal(*req.Change, done, req.Remote)
	if stored != nil {
		r.s.log.Error("Users were changed and could not be stored", "error", stored)
		return peopleAnswer{Problem: api.NewProblem(api.CodeInternal, "the change holds until the node stops: it could not be stored, see the log of node %s", r.s.nodeName)}
	}
	return peopleAnswer{State: &done.State, Mirrored: r.mirrored(ctx, digest)}
}

func peopleProblem(err error) *api.Problem {
	code := api.CodeBadRequest
	switch {
	case errors.Is(err, people.ErrUnknown):
		code = api.CodeNotFound
	case errors.Is(err, people.ErrRefused):
		code = api.CodeConflict
	}
	return api.NewProblem(code, "%s", err)
}

// journal writes down who changed whom: never a password, token or hash.
func (r *roster) journal(c people.Change, done people.Done, remote string) {
	e := r.s.newEntry(journal.ClassConfig, peopleEvents[c.Verb], "", c.Name, c.By, "from "+remote)
	e.Old, e.New, e.Result = done.Old, done.New, "ok"
	r.s.areas[r.s.areaNames[0]].record(e)
}

var peopleEvents = map[string]string{
	people.AddUser: "user added", people.RemoveUser: "user removed", people.SetPassword: "password set", people.SetRole: "role of user set",
	people.Lock: "user locked", people.Unlock: "user unlocked", people.CreateToken: "token created", people.RevokeToken: "token revoked",
}

// compared answers a comparison: with everything when the other node has something else.
func (r *roster) compared(req peopleRequest) peopleAnswer {
	if err := r.take(req.State); err != nil {
		r.s.log.Error("Users of the other node cannot be taken over", "error", err)
	}
	var sessions *sessionNews
	if req.Sessions != nil {
		r.sessions.take(req.Sessions, time.Now())
		sessions = r.sessions.news(r.s.web.Sessions())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.peer != req.Digest {
		r.peer = req.Digest
		close(r.news)
		r.news = make(chan struct{})
	}
	if r.book.Digest() == req.Digest {
		return peopleAnswer{Sessions: sessions}
	}
	state := r.book.State()
	return peopleAnswer{State: &state, Sessions: sessions}
}

// mirrored waits until the standby has what is here, as long as it can be reached.
func (r *roster) mirrored(ctx context.Context, digest string) bool {
	ctx, cancel := context.WithTimeout(ctx, peopleWithin)
	defer cancel()
	for r.s.peerReachable() {
		r.mu.Lock()
		same, news := r.peer == digest, r.news
		r.mu.Unlock()
		if same {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-news:
		}
	}
	return false
}

// run compares the users with the active's while this node is the standby, and makes the first administrator of a plant
// that has none while it is active.
func (r *roster) run(notice io.Writer) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(peopleEvery)
		defer tick.Stop()
		failing := false
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			area := r.s.areaNames[0]
			if notice != nil && r.s.areas[area].isActive() {
				r.firstAdmin(notice)
			}
			if !r.s.isStandby(area) {
				continue
			}
			err := r.compare(ctx)
			if failing != (err != nil) && ctx.Err() == nil {
				failing = err != nil
				r.s.log.Info("Comparing the users with the other node", "failing", failing, "error", err)
			}
		}
	}
}

// compare asks the active whether it has the same users; if not, both take what they lack.
func (r *roster) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, peopleWithin)
	defer cancel()
	r.mu.Lock()
	digest := r.book.Digest()
	r.mu.Unlock()
	ans, err := r.ask(ctx, peopleRequest{Digest: digest, Sessions: r.sessions.news(r.s.web.Sessions())}, r.s.pair.Forward)
	if err != nil {
		return err
	}
	r.sessions.take(ans.Sessions, time.Now())
	if ans.State == nil {
		return nil
	}
	if err := r.take(ans.State); err != nil {
		return err
	}
	r.mu.Lock()
	own := r.book.State()
	digest = r.book.Digest()
	r.mu.Unlock()
	_, err = r.ask(ctx, peopleRequest{Digest: digest, State: &own}, r.s.pair.Forward)
	return err
}

// firstAdmin makes an administrator when the plant has none, and says the password once, to who started the node: it is
// neither in the log nor in the journal.
func (r *roster) firstAdmin(notice io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.book.HasAdmin() {
		return
	}
	text := rand.Text()
	password := text[0:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16]
	hash, err := web.HashPassword(password)
	if err != nil {
		r.s.log.Error("No first administrator could be made", "error", err)
		return
	}
	name, added := r.book.FirstAdmin(hash)
	if !added {
		return
	}
	if err := r.store(); err != nil {
		r.s.log.Error("The first administrator could not be stored", "error", err)
	}
	r.s.areas[r.s.areaNames[0]].record(r.s.newEntry(journal.ClassConfig, "first administrator", "", name, "", "the plant had none; a one-time password was written to standard error"))
	fmt.Fprintf(notice, "\nThis plant has no administrator yet. Log in at %s as\n\n    user      %s\n    password  %s\n\n"+
		"and choose another password: nothing else is allowed with this one, and it is not shown again.\n\n", r.s.origins()[0], name, password)
}
