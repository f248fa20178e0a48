package api

import (
	"encoding/json"
	"time"
)

// The commands on an application.
const (
	AppShow     = "show"
	AppCheck    = "check"
	AppDeploy   = "deploy"
	AppRollback = "rollback"
)

// AppCommand is a request about one application. Name comes from the path.
type AppCommand struct {
	Command string `json:"-"`
	Name    string `json:"-"`
	Source  string `json:"source,omitempty"`  // deploy, check: the Starlark text
	Comment string `json:"comment,omitempty"` // for the journal
	Back    string `json:"back,omitempty"`    // rollback: the hash of the generation; empty means the one before
}

// App is an application of the plant's engineers.
type App struct {
	Name     string `json:"name"`
	Area     string `json:"area"`
	Node     string `json:"node"` // that answered; an application runs on the active node
	Running  bool   `json:"running"`
	Disabled string `json:"disabled,omitempty"` // why it does not run although the node is active
	Calls    uint64 `json:"calls"`
	Failures uint64 `json:"failures"`

	Generations []AppGeneration `json:"generations"` // newest first; the first is the present one

	Source string          `json:"source,omitempty"`
	State  json.RawMessage `json:"state,omitempty"`
	Log    []AppLine       `json:"log,omitempty"` // oldest first
}

// AppGeneration is one version of an application's source.
type AppGeneration struct {
	Hash    string    `json:"hash"`
	By      string    `json:"by"`
	Time    time.Time `json:"time"`
	Comment string    `json:"comment,omitempty"`
	Bytes   int       `json:"bytes"`
}

// AppLine is a line of an application's log.
type AppLine struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// Apps is the answer with all applications, without sources, states and logs.
type Apps struct {
	Apps []App `json:"apps"`
}
