package config_test

import (
	"strings"
	"testing"
	"time"

	"scada/alarms"
	"scada/alarms/notify/send"
)

const notifySettings = `  notify:
    receivers:
      - {name: duty, timeout: 3s, webhook: {url: "https://pager.example/hook", bearer_file: token}}
      - {name: am, alertmanager: {urls: ["http://10.0.0.1:9093", "http://10.0.0.2:9093"]}}
      - {name: mail, smtp: {server: "mail.example:587", from: works@example.org, to: [duty@example.org], user: works, password_file: token}}
      - {name: bus, mqtt: {broker: "tcp://10.0.0.3:1883", topic: plant/alarms}}
    routes:
      - {name: night, areas: [main], priority: high, to: [duty], delay: 30s, repeat: 10m, escalate: 5m, escalate_to: [mail]}
      - {to: [am, bus], alarms: [pump1*], group: 10s, resolved: false}
`

func TestNotifyIsRead(t *testing.T) {
	c, err := load(t, withAlarms(t, notifySettings, ""), map[string]string{"token": "secret\n"})
	if err != nil {
		t.Fatal(err)
	}
	r, routes := c.Notify.Receivers, c.Notify.Routes
	if len(r) != 4 || r[0].Webhook.Bearer != "secret" || r[0].Timeout != 3*time.Second || len(r[1].Alertmanager.URLs) != 2 || r[2].SMTP.Host != "mail.example" ||
		r[2].SMTP.Port != 587 || r[2].SMTP.TLS != send.TLSStart || r[2].SMTP.Password != "secret" || r[3].MQTT.Topic != "plant/alarms" {
		t.Errorf("%+v", r)
	}
	if n := routes[0]; n.MinPriority != alarms.PriorityHigh || n.Delay != 30*time.Second || n.Repeat != 10*time.Minute || n.Escalate != 5*time.Minute || !n.Resolved {
		t.Errorf("%+v", n)
	}
	if n := routes[1]; n.Name != "2" || n.Resolved || n.Group != 10*time.Second {
		t.Errorf("%+v", n)
	}
	if names := c.Notify.Routing().Receivers; strings.Join(names, " ") != "duty am mail bus" {
		t.Errorf("%v", names)
	}
}

func TestNotifyErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"name: duty", "name: am", `plant.yaml:19:10: alarms.notify.receivers[1].name: receiver name "am" is there twice`},
		{"timeout: 3s", "timeout: 2m", `alarms.notify.receivers[0].timeout: 2m0s is outside 0 .. 1m0s`},
		{"https://pager.example/hook", "pager", `alarms.notify.receivers[0].webhook.url: "pager" is not an address (http://host…)`},
		{"bearer_file: token", "bearer_file: none", `alarms.notify.receivers[0].webhook.bearer_file: `},
		{"bearer_file: token", "bearer_file: long", `long is a folder or larger than 4096 bytes`},
		{`["http://10.0.0.1:9093", "http://10.0.0.2:9093"]`, "[]", `alarms.notify.receivers[1].alertmanager.urls: an address is missing`},
		{"mail.example:587", "mail.example", `alarms.notify.receivers[2].smtp.server: "mail.example" is not host:port`},
		{"from: works@example.org", "from: works, tls: yes", `"works" is no mail address`},
		{"from: works@example.org", "from: works, tls: maybe", `alarms.notify.receivers[2].smtp.tls: "maybe" is none of starttls, tls, none`},
		{"to: [duty@example.org]", "to: []", `alarms.notify.receivers[2].smtp.to: a mail address is missing`},
		{"to: [duty@example.org]", "to: [nobody]", `alarms.notify.receivers[2].smtp.to[0]: "nobody" is no mail address`},
		{"tcp://10.0.0.3:1883", "http://10.0.0.3", `alarms.notify.receivers[3].mqtt.broker: "http://10.0.0.3" is not an address (tcp://host…)`},
		{"topic: plant/alarms", "topic: plant/#", `alarms.notify.receivers[3].mqtt.topic: "plant/#" is no topic one can write to`},
		{`{name: bus, mqtt: {broker: "tcp://10.0.0.3:1883", topic: plant/alarms}}`, "{name: bus}", `alarms.notify.receivers[3]: a receiver is one of webhook, alertmanager, smtp, mqtt`},
		{"areas: [main]", "areas: [north]", `alarms.notify.routes[0].areas[0]: no area is named "north"`},
		{"to: [duty]", "to: [nobody]", `plant.yaml:23:54: alarms.notify.routes[0].to: no receiver is named "nobody"`},
		{"repeat: 10m", "repeat: 1s", `alarms.notify.routes[0].repeat: repeat must be 0 or at least 10s`},
		{", escalate_to: [mail]", "", `alarms.notify.routes[0].escalate: escalate and escalate_to belong together`},
	} {
		text := withAlarms(t, notifySettings, "")
		if !strings.Contains(text, c.old) {
			t.Fatalf("no %q", c.old)
		}
		_, err := load(t, strings.Replace(text, c.old, c.new, 1), map[string]string{"token": "secret", "long": strings.Repeat("x", 4097)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q -> %q:\n got %v\nwant %s", c.old, c.new, err, c.want)
		}
	}
}
