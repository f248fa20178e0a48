package web

import (
	"time"

	"scada/web/api"
)

// appTimeout bounds a request about an application, on its way to the active node and back.
const appTimeout = 8 * time.Second

func appRoutes() []route {
	all := []route{
		{method: "GET", pattern: base + "/apps", permission: View, handle: (*Server).getApps, answer: typeOf[api.Apps](), summary: "All applications"},
		{method: "GET", pattern: base + "/apps/{name}", permission: View, handle: appCommand(api.AppShow), answer: typeOf[api.App](),
			summary: "One application with its source, state and log, from the node that runs it"},
	}
	for _, v := range []struct{ command, about string }{
		{api.AppCheck, "Compile a source without deploying it"},
		{api.AppDeploy, "Replace the source of a running application; the old one goes on when the new one does not start"},
		{api.AppRollback, "Return to an earlier generation"},
	} {
		all = append(all, route{method: "POST", pattern: base + "/apps/{name}/" + v.command, permission: AppDeploy, handle: appCommand(v.command),
			body: typeOf[api.AppCommand](), answer: typeOf[api.App](), summary: v.about})
	}
	return all
}

func (s *Server) getApps(*call) (any, error) { return api.Apps{Apps: filled(s.backend.Apps())}, nil }

func appCommand(command string) endpoint {
	return func(s *Server, c *call) (any, error) {
		var cmd api.AppCommand
		if command != api.AppShow {
			if err := c.decode(&cmd); err != nil {
				return nil, err
			}
		}
		cmd.Command, cmd.Name = command, c.r.PathValue("name")
		if err := checkAppCommand(cmd); err != nil {
			return nil, err
		}
		ctx, cancel := commandContext(c.r.Context(), appTimeout)
		defer cancel()
		return s.backend.App(ctx, c.who.Actor, cmd)
	}
}

func checkAppCommand(cmd api.AppCommand) error {
	needsSource := cmd.Command == api.AppCheck || cmd.Command == api.AppDeploy
	switch {
	case needsSource && cmd.Source == "":
		return api.NewProblem(api.CodeBadRequest, "source: the text of the application is required")
	case !needsSource && cmd.Source != "":
		return api.NewProblem(api.CodeBadRequest, "source is for check and deploy")
	case cmd.Back != "" && cmd.Command != api.AppRollback:
		return api.NewProblem(api.CodeBadRequest, "back is for rollback")
	case len(cmd.Comment) > maxText || len(cmd.Back) > maxText:
		return api.NewProblem(api.CodeBadRequest, "comment and back have at most %d bytes", maxText)
	}
	return nil
}
