package web

import (
	"context"
	"time"

	"scada/web/api"
)

// Configuration is how the configuration is looked at and changed.
type Configuration interface {
	// Config checks, compares or changes it. What is wrong with the files is in the answer.
	Config(ctx context.Context, by Actor, cmd api.ConfigCommand) (api.ConfigAnswer, error)
	// ConfigRevisions returns the last revisions.
	ConfigRevisions() (api.ConfigRevisions, error)
}

// configTimeout bounds a change: the other node checks it too, and devices that leave are waited for.
const configTimeout = 55 * time.Second

func configurationRoutes() []route {
	all := []route{
		{method: "GET", pattern: base + "/config/digest", permission: View, handle: (*Server).getDigest, answer: typeOf[api.ConfigDigest](),
			summary: "The digest of this node's configuration"},
		{method: "GET", pattern: base + "/config/revisions", permission: ConfigDeploy, handle: (*Server).getRevisions, answer: typeOf[api.ConfigRevisions](),
			summary: "The last revisions of the configuration on this node"},
	}
	for _, v := range []struct{ command, about string }{
		{api.ConfigCheck, "Say everything that is wrong with a configuration"},
		{api.ConfigDiff, "What a configuration would change, which devices would reconnect, what needs a restart"},
		{api.ConfigDeploy, "Change the configuration of both nodes while they run"},
		{api.ConfigRollback, "Return to an earlier revision"},
		{api.ConfigDiscard, "Forget the revision of this node that the pair does not run"},
	} {
		all = append(all, route{method: "POST", pattern: base + "/config/" + v.command, permission: ConfigDeploy, handle: configCommand(v.command),
			body: typeOf[api.ConfigCommand](), answer: typeOf[api.ConfigAnswer](), summary: v.about})
	}
	return all
}

var errNoConfiguration = api.NewProblem(api.CodeNotFound, "this server's configuration cannot be changed")

func (s *Server) getRevisions(*call) (any, error) {
	if s.cfg.Configuration == nil {
		return nil, errNoConfiguration
	}
	r, err := s.cfg.Configuration.ConfigRevisions()
	r.Revisions = filled(r.Revisions)
	return r, err
}

func configCommand(command string) endpoint {
	return func(s *Server, c *call) (any, error) {
		var cmd api.ConfigCommand
		if err := c.decodeUpTo(&cmd, api.MaxConfig); err != nil {
			return nil, err
		}
		if s.cfg.Configuration == nil {
			return nil, errNoConfiguration
		}
		cmd.Command = command
		if err := checkConfigCommand(cmd); err != nil {
			return nil, err
		}
		ctx, cancel := commandContext(c.r.Context(), configTimeout)
		defer cancel()
		return s.cfg.Configuration.Config(ctx, c.who.Actor, cmd)
	}
}

// maxConfigFiles is how many files a request may have.
const maxConfigFiles = 1000

func checkConfigCommand(cmd api.ConfigCommand) error {
	files := cmd.Command == api.ConfigCheck || cmd.Command == api.ConfigDeploy || cmd.Command == api.ConfigDiff && cmd.Revision == ""
	changes := cmd.Command == api.ConfigDeploy || cmd.Command == api.ConfigRollback
	switch {
	case files != (len(cmd.Files) > 0):
		return api.NewProblem(api.CodeBadRequest, "files: check, diff and deploy take the text of plant.yaml and its tag files, the others none")
	case len(cmd.Files) > maxConfigFiles:
		return api.NewProblem(api.CodeTooMany, "at most %d files", maxConfigFiles)
	case cmd.Revision != "" && cmd.Command != api.ConfigRollback && cmd.Command != api.ConfigDiff:
		return api.NewProblem(api.CodeBadRequest, "revision is for rollback and diff")
	case cmd.OfflineEdit && !changes:
		return api.NewProblem(api.CodeBadRequest, "offline_edit is for deploy and rollback")
	case len(cmd.Comment) > maxText || len(cmd.Revision) > maxText:
		return api.NewProblem(api.CodeBadRequest, "comment and revision have at most %d bytes", maxText)
	}
	for _, f := range cmd.Files {
		if f.Name == "" || len(f.Name) > maxText {
			return api.NewProblem(api.CodeBadRequest, "a file has no name, or one of more than %d bytes", maxText)
		}
	}
	return nil
}
