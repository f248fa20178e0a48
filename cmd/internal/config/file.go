package config

import "time"

// file is plant.yaml as written, before rules are applied. A field's zero value means "not given".
type file struct {
	Project     string                   `yaml:"project"`
	Nodes       map[string]nodeFile      `yaml:"nodes"`
	Redundancy  redundancyFile           `yaml:"redundancy"`
	Areas       []areaFile               `yaml:"areas"`
	Devices     []deviceFile             `yaml:"devices"`
	Profiles    map[string]profileFile   `yaml:"profiles" json:",omitempty"`
	ScanClasses map[string]time.Duration `yaml:"scan_classes"`
	Apps        []appFile                `yaml:"apps" json:",omitempty"`
	Tags        []tagFile                `yaml:"tags"`
	TagFiles    []string                 `yaml:"tag_files"`
	TextFiles   []string                 `yaml:"text_files" json:",omitempty"`
	Alarms      alarmsFile               `yaml:"alarms"`
	History     historyFile              `yaml:"history"`
	Users       []userFile               `yaml:"users"`
	Tokens      []tokenFile              `yaml:"tokens"`
	Web         webFile                  `yaml:"web"`
	OPCUA       opcuaFile                `yaml:"opcua"`
}

type nodeFile struct {
	Links map[string]string `yaml:"links"`
	HTTP  string            `yaml:"http"`
	OPCUA string            `yaml:"opcua"`
	Data  string            `yaml:"data"`
	Field string            `yaml:"field"`
}

type redundancyFile struct {
	Heartbeat time.Duration `yaml:"heartbeat"`
	Misses    int           `yaml:"misses"`
	Failback  string        `yaml:"failback"`
	HoldOff   time.Duration `yaml:"hold_off"`
	JoinWait  time.Duration `yaml:"join_wait"`
	Policy    string        `yaml:"policy"`
	Margin    *int          `yaml:"health_margin" json:",omitempty"`
	Witnesses []witnessFile `yaml:"witnesses" json:",omitempty"`
	TLS       *tlsFile      `yaml:"tls" json:",omitzero"`
}

type tlsFile struct {
	Dir      string        `yaml:"dir"`
	Validity time.Duration `yaml:"validity"`
}

type areaFile struct {
	Name      string         `yaml:"name"`
	Primary   string         `yaml:"primary"`
	Resources []resourceFile `yaml:"resources" json:",omitempty"`
}

type deviceFile struct {
	Name   string           `yaml:"name"`
	Area   string           `yaml:"area"`
	Driver string           `yaml:"driver"`
	Probe  string           `yaml:"probe"`
	Weight *int             `yaml:"weight" json:",omitempty"`
	Modbus *modbusFile      `yaml:"modbus"`
	OPCUA  *opcuaDeviceFile `yaml:"opcua"`

	Profile string `yaml:"profile" json:",omitempty"`
}

type modbusFile struct {
	Endpoints []string      `yaml:"endpoints"`
	Unit      int           `yaml:"unit"`
	Timeout   time.Duration `yaml:"timeout"`
	Retries   *int          `yaml:"retries"`
	MaxGap    *int          `yaml:"max_gap"`
	ByteOrder string        `yaml:"byte_order"`
	Window    windowFile    `yaml:"window"`

	NeverGap      []string `yaml:"never_gap" json:",omitempty"`
	MaxBlock      int      `yaml:"max_block" json:",omitempty"`
	WriteMultiple bool     `yaml:"write_multiple" json:",omitempty"`
}

type opcuaDeviceFile struct {
	Endpoint     string        `yaml:"endpoint"`
	Security     string        `yaml:"security"`
	Mode         string        `yaml:"mode"`
	User         string        `yaml:"user"`
	PasswordFile string        `yaml:"password_file"`
	Acquire      string        `yaml:"acquire"`
	Timeout      time.Duration `yaml:"timeout"`
	Trust        string        `yaml:"trust"`
	History      string        `yaml:"history" json:",omitempty"`
}

type appFile struct {
	Name       string        `yaml:"name"`
	Area       string        `yaml:"area"`
	File       string        `yaml:"file"`
	Inputs     []string      `yaml:"inputs"`
	Writes     []string      `yaml:"writes"`
	Every      time.Duration `yaml:"every"`
	StaleAfter time.Duration `yaml:"stale_after"`
}

type scaleFile struct {
	Raw Pair `yaml:"raw"`
	EU  Pair `yaml:"eu"`

	Curve string `yaml:"curve" json:",omitempty"`
	Clamp bool   `yaml:"clamp" json:",omitempty"`
}

type tagHistoryFile struct {
	Mode string `yaml:"mode"`
}

type tagFile struct {
	Name        string         `yaml:"name"`
	Device      string         `yaml:"device"`
	Address     string         `yaml:"address"`
	Expr        string         `yaml:"expr" json:",omitempty"`
	App         string         `yaml:"app" json:",omitempty"`
	Area        string         `yaml:"area" json:",omitempty"` // of a calculated tag; the others are where their device is
	Type        string         `yaml:"type"`
	Scan        string         `yaml:"scan"`
	Unit        string         `yaml:"unit"`
	Range       Pair           `yaml:"range"`
	Scale       scaleFile      `yaml:"scale"`
	Deadband    float64        `yaml:"deadband"`
	Writable    bool           `yaml:"writable"`
	History     tagHistoryFile `yaml:"history"`
	Description string         `yaml:"description"`
	States      []string       `yaml:"states"`
	ByteOrder   string         `yaml:"byte_order"`

	at     Position // where the tag stands, for tags from CSV
	path   string
	header []string // of the tag file
	cells  []cellAt
}

type historyFile struct {
	Raw     time.Duration `yaml:"raw"`
	Hourly  time.Duration `yaml:"hourly"`
	Journal time.Duration `yaml:"journal"`
	MaxDisk Size          `yaml:"max_disk"`
	Export  []exportFile  `yaml:"export" json:",omitempty"`

	Backfill Size   `yaml:"backfill" json:",omitempty"`
	WhenFull string `yaml:"when_full" json:",omitempty"`
}

type userFile struct {
	Name         string `yaml:"name"`
	Role         string `yaml:"role"`
	PasswordHash string `yaml:"password_hash"`

	Areas map[string]string `yaml:"areas" json:",omitempty"`
}

type tokenFile struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
	Hash string `yaml:"hash"`

	Areas map[string]string `yaml:"areas" json:",omitempty"`
}

type webFile struct {
	PairKeyFile string   `yaml:"pair_key_file"`
	Origins     []string `yaml:"origins"`

	TLS      *webTLSFile `yaml:"tls" json:",omitempty"`
	Insecure bool        `yaml:"insecure" json:",omitempty"`
	OIDC     *oidcFile   `yaml:"oidc" json:",omitempty"`
}

type webTLSFile struct {
	Dir string `yaml:"dir"`
}

type opcuaFile struct {
	AllowNone bool     `yaml:"allow_none"`
	Anonymous string   `yaml:"anonymous"`
	Hosts     []string `yaml:"hosts"`

	Redundancy string `yaml:"redundancy"`
}
