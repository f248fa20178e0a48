package api

import (
	"context"
	"time"
)

// MaxConfig is the longest request with a configuration, in bytes.
const MaxConfig = 32 << 20

// The commands on the configuration.
const (
	ConfigCheck    = "check"
	ConfigDiff     = "diff"
	ConfigDeploy   = "deploy"
	ConfigRollback = "rollback"
	ConfigDiscard  = "discard" // forget the revision of this node that the pair does not run
)

// ConfigFile is one file of a configuration; plant.yaml is the first. Tag files are named relative to it.
type ConfigFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// ConfigCommand checks, compares or changes the configuration.
type ConfigCommand struct {
	Command  string       `json:"command,omitempty"`
	Files    []ConfigFile `json:"files,omitempty"`    // check, diff, deploy
	Revision string       `json:"revision,omitempty"` // rollback: "" is the one before; diff: instead of files
	Comment  string       `json:"comment,omitempty"`
	// OfflineEdit deploys although the other node cannot be asked. It follows when it is back.
	OfflineEdit bool `json:"offline_edit,omitempty"`
}

// ConfigAnswer is what came of it.
type ConfigAnswer struct {
	Result   string         `json:"result,omitempty"` // checked, unchanged, deployed, deployed on one node, discarded
	Digest   string         `json:"digest,omitempty"`
	Revision string         `json:"revision,omitempty"`
	Errors   []ConfigError  `json:"errors,omitempty"` // what is wrong with the files: nothing was changed
	Changes  []ConfigChange `json:"changes,omitempty"`
	// Reconnects are the devices whose polling starts anew.
	Reconnects []string `json:"reconnects,omitempty"`
	// Restart are the sections that only a restart of each node changes.
	Restart []string `json:"restart,omitempty"`
}

// ConfigError is one thing wrong with the files; lines and columns count from 1.
type ConfigError struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// ConfigChange is one difference between two configurations.
type ConfigChange struct {
	Section string `json:"section"`
	Name    string `json:"name,omitempty"`
	Kind    string `json:"kind"` // added, removed, changed
	Detail  string `json:"detail,omitempty"`
}

// ConfigRevision is one of the last revisions.
type ConfigRevision struct {
	ID      string    `json:"id"`
	Parent  string    `json:"parent,omitempty"`
	Counter uint64    `json:"counter"`
	Epoch   uint64    `json:"epoch"`
	Digest  string    `json:"digest"`
	By      string    `json:"by"`
	Node    string    `json:"node"`
	Time    time.Time `json:"time"`
	Comment string    `json:"comment,omitempty"`
	Current bool      `json:"current,omitempty"`
	// Own marks the revision of this node that the pair does not run: both nodes were changed while they were apart.
	Own bool `json:"own,omitempty"`
}

// ConfigRevisions is the answer with the last revisions, newest first.
type ConfigRevisions struct {
	Node      string           `json:"node"`
	Revisions []ConfigRevision `json:"revisions"`
	// Conflict is set when this node has a revision of its own: what each side changed since they were one.
	Conflict *ConfigConflict `json:"conflict,omitempty"`
}

// ConfigConflict is a three-way difference. Without a common revision on disk Base is empty and Theirs is what lies between
// own and the pair's.
type ConfigConflict struct {
	Base   string         `json:"base,omitempty"`
	Own    string         `json:"own"`
	Pair   string         `json:"pair"`
	Ours   []ConfigChange `json:"ours"`
	Theirs []ConfigChange `json:"theirs"`
	Reason string         `json:"reason,omitempty"` // why the active did not take it over
}

// ConfigRevisions returns the last revisions of the server that answers.
func (c *Client) ConfigRevisions(ctx context.Context) (ConfigRevisions, error) {
	var out ConfigRevisions
	return out, c.get(ctx, "/config/revisions", nil, &out)
}

// ConfigCommand checks, compares or changes the configuration; cmd.Command says which.
func (c *Client) ConfigCommand(ctx context.Context, cmd ConfigCommand) (ConfigAnswer, error) {
	var out ConfigAnswer
	command := cmd.Command
	cmd.Command = ""
	return out, c.post(ctx, "/config/"+command, cmd, &out)
}
