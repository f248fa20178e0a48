package server

import (
	"context"
	"errors"
	"path/filepath"

	"scada/cmd/internal/config"
	"scada/redundancy"
	"scada/web"
	"scada/web/api"
)

// configRequest is what one node tells the other about the configuration.
type configRequest struct {
	Tried   string    `json:"tried,omitempty"` // the standby's answer about a staged revision
	Why     string    `json:"why,omitempty"`   // it refuses it
	Offer   *revision `json:"offer,omitempty"` // without its text, which is the body
	Deploy  bool      `json:"deploy,omitempty"`
	By      string    `json:"by,omitempty"`
	Comment string    `json:"comment,omitempty"`
	Offline bool      `json:"offline,omitempty"`
	People  bool      `json:"people,omitempty"` // users and tokens, too
}

// configAnswer is the answer to a deployment.
type configAnswer struct {
	Answer  api.ConfigAnswer `json:"answer"`
	Problem *api.Problem     `json:"problem,omitempty"`

	later bool // the reason may be gone in a moment: the files are deployed again
}

// tell asks the node that is active for the first area.
func (c *configurator) tell(ctx context.Context, req configRequest, body []byte) ([]byte, error) {
	payload, err := request{Op: opConfig, Config: &req}.encode(body)
	if err != nil {
		return nil, err
	}
	return c.s.pair.Forward(ctx, c.s.areaNames[0], payload)
}

// told executes what the other node, or a client of this one, asks for.
func (c *configurator) told(ctx context.Context, req configRequest, body []byte) ([]byte, error) {
	switch {
	case req.Tried != "":
		c.tried(req.Tried, req.Why)
		return nil, nil
	case req.Offer != nil:
		return nil, c.offered(ctx, req.Offer, body)
	case req.Deploy:
		b, err := config.Unpack(body)
		if err != nil {
			return nil, err
		}
		return answer(c.deployHere(ctx, b, order{by: req.By, comment: req.Comment, offline: req.Offline, people: req.People}), nil)
	}
	return nil, errors.New("the other node asks for something about the configuration: it runs another version")
}

// deployHere deploys on the node that decides, and records it.
func (c *configurator) deployHere(ctx context.Context, b config.Bundle, o order) configAnswer {
	before := c.s.now().cfg.Digest
	diff, err := c.deploy(ctx, b, o)
	ans := configAnswer{Answer: diffJSON(diff)}
	now := c.present()
	ans.Answer.Digest, ans.Answer.Revision = now.Digest, now.ID
	var wrong config.Errors
	switch {
	case errors.As(err, &wrong):
		ans.Answer.Errors = c.errorsJSON(wrong)
	case errors.Is(err, errNeedsRestart):
		ans.Problem = api.NewProblem(api.CodeNotReady, "%s: change the files on both nodes and restart one after the other", err)
	case errors.Is(err, errPeople):
		ans.Problem = api.NewProblem(api.CodeForbidden, "%s", err)
	case errors.Is(err, errPeer):
		ans.Problem = api.NewProblem(api.CodeNotReady, "%s (--offline-edit changes this node alone)", err)
	case errors.Is(err, redundancy.ErrNotActive):
		ans.Problem = api.NewProblem(api.CodeNotActive, "this node is not active any more")
	case errors.Is(err, errBusy):
		ans.Problem = api.NewProblem(api.CodeNotReady, "%s", err)
	case err != nil:
		ans.Problem = api.NewProblem(api.CodeBadRequest, "%s", err)
	case diff.Empty():
		ans.Answer.Result = "unchanged"
		return ans
	default:
		ans.Answer.Result = "deployed"
		if !c.s.pair.Status().Peer.DigestEqual {
			ans.Answer.Result = "deployed on one node"
		}
	}
	if ans.later = errors.Is(err, errPeer) || errors.Is(err, errBusy); ans.later && o.by == fileAuthor {
		return ans // told when it is decided
	}
	c.journal(o.by, "configuration deployed", o.comment, before, c.s.now().cfg.Digest, err)
	return ans
}

// Config implements [web.Configuration].
func (c *configurator) Config(ctx context.Context, by web.Actor, cmd api.ConfigCommand) (api.ConfigAnswer, error) {
	var b config.Bundle
	for _, f := range cmd.Files {
		b = append(b, config.File{Name: f.Name, Data: []byte(f.Text)})
	}
	switch cmd.Command {
	case api.ConfigCheck, api.ConfigDiff:
		return c.compare(b, cmd.Revision)
	case api.ConfigDiscard:
		return c.discard(by)
	case api.ConfigRollback:
		rev, err := c.earlier(cmd.Revision)
		if err != nil {
			return api.ConfigAnswer{}, err
		}
		if b, err = config.Unpack(rev.Packed); err != nil {
			return api.ConfigAnswer{}, err
		}
		cmd.Comment = joinText("back to "+rev.ID, cmd.Comment)
	}
	packed, err := b.Pack()
	if err != nil {
		return api.ConfigAnswer{}, api.NewProblem(api.CodeTooLarge, "%s", err)
	}
	req := configRequest{Deploy: true, By: by.User, Comment: cmd.Comment, Offline: cmd.OfflineEdit, People: by.May(web.PeopleAdmin, "")}
	ans, err := ask[configAnswer](ctx, c.s, c.s.areaNames[0], request{Op: opConfig, Config: &req}, packed)
	if err != nil {
		return api.ConfigAnswer{}, forwardProblem(err)
	}
	if ans.Problem != nil {
		return api.ConfigAnswer{}, ans.Problem
	}
	return ans.Answer, nil
}

// compare checks a configuration and says what it would change here.
func (c *configurator) compare(b config.Bundle, id string) (api.ConfigAnswer, error) {
	if id != "" {
		rev, err := c.earlier(id)
		if err != nil {
			return api.ConfigAnswer{}, err
		}
		if b, err = config.Unpack(rev.Packed); err != nil {
			return api.ConfigAnswer{}, err
		}
	}
	cfg, err := b.Load(c.path)
	var wrong config.Errors
	if errors.As(err, &wrong) {
		return api.ConfigAnswer{Result: "wrong", Errors: c.errorsJSON(wrong)}, nil
	}
	if err != nil {
		return api.ConfigAnswer{}, err
	}
	out := diffJSON(config.Compare(c.s.now().cfg, cfg))
	out.Result, out.Digest = "checked", cfg.Digest
	return out, nil
}

// earlier finds a stored revision; "" is the one before the present one.
func (c *configurator) earlier(id string) (*revision, error) {
	now := c.present()
	if id == "" {
		if len(now.Ancestors) == 0 {
			return nil, api.NewProblem(api.CodeNotFound, "there is no earlier revision")
		}
		id = now.Ancestors[0]
	}
	for _, rev := range c.stored() {
		if rev.ID == id {
			return rev, nil
		}
	}
	return nil, api.NewProblem(api.CodeNotFound, "there is no revision %q on this node: the last %d are kept", id, keptRevisions)
}

// discard forgets the revision that only this node has.
func (c *configurator) discard(by web.Actor) (api.ConfigAnswer, error) {
	c.mu.Lock()
	own := c.own
	if own == nil {
		c.mu.Unlock()
		return api.ConfigAnswer{}, api.NewProblem(api.CodeNotFound, "this node has no revision of its own")
	}
	c.own, c.refused, c.store.Own = nil, "", ""
	err := c.store.save()
	c.mu.Unlock()
	if err != nil {
		return api.ConfigAnswer{}, err
	}
	c.journal(by.User, "configuration of "+c.s.nodeName+" discarded", "revision "+own.ID, own.Digest, c.s.now().cfg.Digest, nil)
	return api.ConfigAnswer{Result: "discarded", Digest: c.s.now().cfg.Digest}, nil
}

// ConfigRevisions implements [web.Configuration].
func (c *configurator) ConfigRevisions() (api.ConfigRevisions, error) {
	out := api.ConfigRevisions{Node: c.s.nodeName}
	list := c.stored()
	c.mu.Lock()
	now, own, refused := c.current, c.own, c.refused
	c.mu.Unlock()
	for _, r := range list {
		j := api.ConfigRevision{ID: r.ID, Counter: r.Counter, Epoch: r.Epoch, Digest: r.Digest, By: r.By, Node: r.Node, Time: r.At, Comment: r.Comment,
			Current: r.ID == now.ID, Own: own != nil && r.ID == own.ID}
		if len(r.Ancestors) > 0 {
			j.Parent = r.Ancestors[0]
		}
		out.Revisions = append(out.Revisions, j)
	}
	if own != nil {
		out.Conflict = c.conflict(list, own, now, refused)
	}
	return out, nil
}

// conflict says what each side changed since the last revision both know.
func (c *configurator) conflict(list []*revision, own, now *revision, refused string) *api.ConfigConflict {
	out := &api.ConfigConflict{Own: own.ID, Pair: now.ID, Reason: refused, Ours: []api.ConfigChange{}, Theirs: []api.ConfigChange{}}
	mine, err := own.load(c.path)
	if err != nil {
		out.Reason = joinText(out.Reason, err.Error())
		return out
	}
	theirs := c.s.now().cfg
	for _, r := range list {
		common := (r.ID == own.ID || own.descends(r.ID)) && (r.ID == now.ID || now.descends(r.ID))
		if base, err := r.load(c.path); common && err == nil {
			out.Base = r.ID
			out.Ours = changesJSON(config.Compare(base, mine))
			out.Theirs = changesJSON(config.Compare(base, theirs))
			return out
		}
	}
	out.Theirs = changesJSON(config.Compare(mine, theirs))
	return out
}

func diffJSON(d config.Diff) api.ConfigAnswer {
	return api.ConfigAnswer{Changes: changesJSON(d), Reconnects: d.Reconnects, Restart: d.Restart}
}

func changesJSON(d config.Diff) []api.ConfigChange {
	list := make([]api.ConfigChange, len(d.Changes))
	for i, c := range d.Changes {
		list[i] = api.ConfigChange(c)
	}
	return list
}

// errorsJSON names the files as the client does: relative to plant.yaml.
func (c *configurator) errorsJSON(wrong config.Errors) []api.ConfigError {
	list := make([]api.ConfigError, len(wrong))
	for i, e := range wrong {
		if name, err := filepath.Rel(filepath.Dir(c.path), e.File); err == nil {
			e.File = name
		}
		list[i] = api.ConfigError{File: e.File, Line: e.Line, Col: e.Col, Path: e.Path, Message: e.Message}
	}
	return list
}
