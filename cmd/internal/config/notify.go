package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"scada/alarms"
	"scada/alarms/notify"
	"scada/alarms/notify/send"
)

// Notify is who is told of alarms, and how.
type Notify struct {
	Receivers []send.Receiver
	Routes    []notify.Route
}

// Routing returns the part of it that the outbox needs.
func (n Notify) Routing() notify.Config {
	c := notify.Config{Routes: n.Routes}
	for _, r := range n.Receivers {
		c.Receivers = append(c.Receivers, r.Name)
	}
	return c
}

type notifyFile struct {
	Receivers []receiverFile `yaml:"receivers"`
	Routes    []routeFile    `yaml:"routes"`
}

type receiverFile struct {
	Name         string            `yaml:"name"`
	Timeout      time.Duration     `yaml:"timeout"`
	Webhook      *webhookFile      `yaml:"webhook"`
	Alertmanager *alertmanagerFile `yaml:"alertmanager"`
	SMTP         *smtpFile         `yaml:"smtp"`
	MQTT         *mqttFile         `yaml:"mqtt"`
}

type webhookFile struct {
	URL        string `yaml:"url"`
	BearerFile string `yaml:"bearer_file"`
}

type alertmanagerFile struct {
	URLs       []string `yaml:"urls"`
	BearerFile string   `yaml:"bearer_file"`
}

type smtpFile struct {
	Server       string   `yaml:"server"`
	TLS          string   `yaml:"tls"`
	User         string   `yaml:"user"`
	PasswordFile string   `yaml:"password_file"`
	From         string   `yaml:"from"`
	To           []string `yaml:"to"`
}

type mqttFile struct {
	Broker       string `yaml:"broker"`
	Topic        string `yaml:"topic"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

type routeFile struct {
	Name       string        `yaml:"name"`
	Areas      []string      `yaml:"areas"`
	Classes    []string      `yaml:"classes"`
	Alarms     []string      `yaml:"alarms"`
	Priority   Priority      `yaml:"priority"`
	To         []string      `yaml:"to"`
	Delay      time.Duration `yaml:"delay"`
	Group      time.Duration `yaml:"group"`
	Repeat     time.Duration `yaml:"repeat"`
	Escalate   time.Duration `yaml:"escalate"`
	EscalateTo []string      `yaml:"escalate_to"`
	Resolved   *bool         `yaml:"resolved"`
}

const maxSecretBytes = 4096

func (b *builder) notifications() {
	n := &b.config.Notify
	if len(b.file.Alarms.Notify.Receivers) > notify.MaxReceivers {
		b.failf("alarms.notify.receivers", "%d receivers, the limit is %d", len(b.file.Alarms.Notify.Receivers), notify.MaxReceivers)
		return
	}
	seen := map[string]bool{}
	for i := range b.file.Alarms.Notify.Receivers {
		path := index("alarms.notify.receivers", i)
		f := &b.file.Alarms.Notify.Receivers[i]
		if !isName(f.Name) || seen[f.Name] {
			b.failf(path+".name", "receiver name %q is there twice, or not of letters, digits, - and _ (64 at most)", f.Name)
		}
		seen[f.Name] = true
		n.Receivers = append(n.Receivers, b.receiver(path, f))
	}
	for i := range b.file.Alarms.Notify.Routes {
		f := &b.file.Alarms.Notify.Routes[i]
		for j, area := range f.Areas {
			if !slices.ContainsFunc(b.config.Areas, func(a Area) bool { return a.Name == area }) {
				b.failf(index(index("alarms.notify.routes", i)+".areas", j), "no area is named %q", area)
			}
		}
		n.Routes = append(n.Routes, notify.Route{
			Name: orDefault(f.Name, strconv.Itoa(i+1)), Areas: f.Areas, Classes: f.Classes, Conditions: f.Alarms, MinPriority: alarms.Priority(f.Priority), To: f.To,
			Delay: f.Delay, Group: f.Group, Repeat: f.Repeat, Escalate: f.Escalate, EscalateTo: f.EscalateTo, Resolved: f.Resolved == nil || *f.Resolved,
		})
	}
	for _, e := range n.Routing().Validate() {
		b.failf(index("alarms.notify.routes", e.Index)+"."+e.Field, "%s", e.Text)
	}
}

func (b *builder) receiver(path string, f *receiverFile) send.Receiver {
	r := send.Receiver{Name: f.Name, Timeout: f.Timeout}
	if f.Timeout < 0 || f.Timeout > send.MaxTimeout {
		b.failf(path+".timeout", "%s is outside 0 .. %s", f.Timeout, send.MaxTimeout)
	}
	kinds := 0
	if f.Webhook != nil {
		kinds++
		b.receiverURL(path+".webhook.url", f.Webhook.URL, "http", "https")
		r.Webhook = &send.Webhook{URL: f.Webhook.URL, Bearer: b.secret(path+".webhook.bearer_file", f.Webhook.BearerFile)}
	}
	if f.Alertmanager != nil {
		kinds++
		if len(f.Alertmanager.URLs) == 0 {
			b.failf(path+".alertmanager.urls", "an address is missing")
		}
		for i, u := range f.Alertmanager.URLs {
			b.receiverURL(index(path+".alertmanager.urls", i), u, "http", "https")
		}
		r.Alertmanager = &send.Alertmanager{URLs: f.Alertmanager.URLs, Bearer: b.secret(path+".alertmanager.bearer_file", f.Alertmanager.BearerFile)}
	}
	if f.SMTP != nil {
		kinds++
		r.SMTP = b.mailServer(path+".smtp", f.SMTP)
	}
	if f.MQTT != nil {
		kinds++
		b.receiverURL(path+".mqtt.broker", f.MQTT.Broker, "tcp", "ssl")
		if f.MQTT.Topic == "" || strings.ContainsAny(f.MQTT.Topic, "+#\x00") {
			b.failf(path+".mqtt.topic", "%q is no topic one can write to", f.MQTT.Topic)
		}
		r.MQTT = &send.MQTT{Broker: f.MQTT.Broker, Topic: f.MQTT.Topic, User: f.MQTT.User, Password: b.secret(path+".mqtt.password_file", f.MQTT.PasswordFile)}
	}
	if kinds != 1 {
		b.failf(path, "a receiver is one of webhook, alertmanager, smtp, mqtt")
	}
	return r
}

func (b *builder) mailServer(path string, f *smtpFile) *send.SMTP {
	host, port, err := net.SplitHostPort(f.Server)
	number, bad := strconv.Atoi(port)
	if err = errors.Join(err, bad); err != nil || host == "" || number < 1 || number > 65535 {
		b.failf(path+".server", "%q is not host:port", f.Server)
	}
	if !oneOf(f.TLS, "", send.TLSNone, send.TLSStart, send.TLSImplicit) {
		b.failf(path+".tls", "%q is none of %s, %s, %s", f.TLS, send.TLSStart, send.TLSImplicit, send.TLSNone)
	}
	if _, err := mail.ParseAddress(f.From); err != nil {
		b.failf(path+".from", "%q is no mail address", f.From)
	}
	if len(f.To) == 0 {
		b.failf(path+".to", "a mail address is missing")
	}
	for i, to := range f.To {
		if _, err := mail.ParseAddress(to); err != nil {
			b.failf(index(path+".to", i), "%q is no mail address", to)
		}
	}
	return &send.SMTP{Host: host, Port: number, TLS: orDefault(f.TLS, send.TLSStart), User: f.User, Password: b.secret(path+".password_file", f.PasswordFile), From: f.From, To: f.To}
}

// receiverURL checks an address of a receiver.
func (b *builder) receiverURL(path, text string, schemes ...string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		b.failf(path, "%q is not an address (%s://host…)", text, schemes[0])
	}
}

// secret reads a file with a password or a token; a line end at its end does not belong to it.
func (b *builder) secret(path, name string) string {
	if name == "" {
		return ""
	}
	text, err := readSecret(b.resolvePath(name))
	if err != nil {
		b.failf(path, "%s", err)
	}
	return text
}

func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() || info.Size() > maxSecretBytes {
		return "", fmt.Errorf("%s is a folder or larger than %d bytes", path, maxSecretBytes)
	}
	text, err := os.ReadFile(path)
	return strings.TrimRight(string(text), "\r\n"), err
}
