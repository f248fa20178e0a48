package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"scada/acquisition/app"
	"scada/web"
	"scada/web/api"
)

// appsOf returns the applications of the area that has the one named.
func (s *Server) appsOf(name string) *apps {
	for _, a := range s.areas {
		if slices.Contains(a.apps.engine.Names(), name) {
			return a.apps
		}
	}
	return nil
}

// appRequest is what a client asks of the node that runs an application.
type appRequest struct {
	Name    string `json:"name"`
	By      string `json:"by"`
	Source  string `json:"source,omitempty"`
	Comment string `json:"comment,omitempty"`
	Back    string `json:"back,omitempty"` // hash of the generation to return to
	Check   bool   `json:"check,omitempty"`
	Show    bool   `json:"show,omitempty"`
}

// appAnswer is the application afterwards, or why not.
type appAnswer struct {
	App     api.App      `json:"app"`
	Problem *api.Problem `json:"problem,omitempty"`
}

// appCommand executes a request on the node that is active for the application.
func (s *Server) appCommand(ctx context.Context, req appRequest) (api.App, error) {
	h := s.appsOf(req.Name)
	if h == nil {
		return api.App{}, api.NewProblem(api.CodeNotFound, "no application is named %q", req.Name)
	}
	ans, err := ask[appAnswer](ctx, s, h.area.name, request{Op: opApp, App: &req}, nil)
	if err != nil {
		return api.App{}, forwardProblem(err)
	}
	if ans.Problem != nil {
		return api.App{}, ans.Problem
	}
	return ans.App, nil
}

// appHere executes a request on this node.
func (s *Server) appHere(ctx context.Context, req appRequest) appAnswer {
	h := s.appsOf(req.Name)
	if h == nil {
		return appAnswer{Problem: api.NewProblem(api.CodeNotFound, "no application is named %q", req.Name)}
	}
	var err error
	switch {
	case req.Check:
		err = h.engine.Check(req.Name, req.Source)
	case req.Show:
	default:
		var g app.Generation
		if g, err = h.chosen(req); err == nil {
			err = h.deploy(ctx, req.Name, g, "")
		}
	}
	if errors.Is(err, app.ErrStopped) {
		return appAnswer{Problem: api.NewProblem(api.CodeNotActive, "%s", err)}
	}
	if err != nil {
		return appAnswer{Problem: api.NewProblem(api.CodeBadRequest, "%s", err)}
	}
	return appAnswer{App: h.show(req.Name)}
}

// chosen is the generation a request asks for.
func (h *apps) chosen(req appRequest) (app.Generation, error) {
	g := app.Generation{Source: req.Source, By: req.By, At: time.Now().UTC(), Comment: req.Comment}
	if req.Source != "" {
		return g, checkSource(req.Source)
	}
	r := h.record(req.Name)
	for i := len(r.Generations) - 1; i >= 0; i-- {
		old := r.Generations[i]
		if old.Hash() == r.hash() || req.Back != "" && old.Hash() != req.Back {
			continue
		}
		g.Source, g.Comment = old.Source, joinText("back to "+old.Hash(), req.Comment)
		return g, nil
	}
	if req.Back != "" {
		return g, fmt.Errorf("there is no earlier generation %s", req.Back)
	}
	return g, errors.New("there is no earlier generation")
}

// show is the application for clients.
func (h *apps) show(name string) api.App {
	out := api.App{Name: name, Area: h.area.name, Node: h.s.nodeName}
	for _, st := range h.engine.Apps() {
		if st.Name != name {
			continue
		}
		out.Running, out.Calls, out.Failures, out.State = st.Running, st.Calls, st.Failures, st.State
		out.Disabled = st.Disabled
		for _, l := range st.Logs {
			out.Log = append(out.Log, api.AppLine{Time: l.At, Text: l.Text})
		}
	}
	r := h.record(name)
	for _, g := range slices.Backward(r.Generations) {
		out.Generations = append(out.Generations, api.AppGeneration{Hash: g.Hash(), By: g.By, Time: g.At, Comment: g.Comment, Bytes: len(g.Source)})
	}
	if n := len(r.Generations); n > 0 {
		out.Source = r.Generations[n-1].Source
	}
	return out
}

// Apps implements [web.Backend]: without logs, sources and states.
func (b backend) Apps() []api.App {
	var out []api.App
	for _, name := range b.areaNames {
		h := b.areas[name].apps
		for _, n := range h.engine.Names() {
			a := h.show(n)
			a.Log, a.Source, a.State = nil, "", nil
			out = append(out, a)
		}
	}
	return out
}

// App implements [web.Backend].
func (b backend) App(ctx context.Context, by web.Actor, cmd api.AppCommand) (api.App, error) {
	if h := b.appsOf(cmd.Name); h != nil && cmd.Command != api.AppShow {
		if err := by.Refuse(web.AppDeploy, h.area.name); err != nil {
			return api.App{}, err
		}
	}
	return b.appCommand(ctx, appRequest{
		Name: cmd.Name, By: by.User, Source: cmd.Source, Comment: cmd.Comment, Back: cmd.Back,
		Check: cmd.Command == api.AppCheck, Show: cmd.Command == api.AppShow,
	})
}
