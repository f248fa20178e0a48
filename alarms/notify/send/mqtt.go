package send

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"scada/alarms/notify"
)

// MQTT is a broker; each notice is one message with quality of service 1.
type MQTT struct {
	Broker   string // tcp://host:1883 or ssl://host:8883
	Topic    string // in front of /area/condition
	User     string
	Password string
}

// mqttMessage is the payload: what the outbox knows, with times for people.
type mqttMessage struct {
	ID         string     `json:"id"`
	Status     string     `json:"status"`
	Project    string     `json:"project"`
	Alarm      string     `json:"alarm"`
	Occurrence uint64     `json:"occurrence"`
	Event      string     `json:"event"`
	Area       string     `json:"area"`
	Class      string     `json:"class,omitempty"`
	Tag        string     `json:"tag,omitempty"`
	Level      string     `json:"level,omitempty"`
	Priority   string     `json:"priority"`
	State      string     `json:"state"`
	Message    string     `json:"message,omitempty"`
	Guidance   string     `json:"guidance,omitempty"`
	Value      string     `json:"value,omitempty"`
	Unit       string     `json:"unit,omitempty"`
	Since      time.Time  `json:"since"`
	Ended      *time.Time `json:"ended,omitempty"`
}

// publisher keeps one connection. The library's own reconnection and its store are not used: who is owed what is in the
// outbox, and nowhere else.
type publisher struct {
	r Receiver
	o Options

	client mqtt.Client
	conn   *onceConn
}

func newPublisher(r Receiver, o Options) *publisher { return &publisher{r: r, o: o} }

// Close implements [Sender].
func (p *publisher) Close() {
	if p.client != nil {
		p.client.Disconnect(0)
		p.conn.Close()
		p.client, p.conn = nil, nil
	}
}

// Send implements [Sender].
func (p *publisher) Send(ctx context.Context, b notify.Batch) error {
	err := p.publish(ctx, b)
	if err != nil {
		p.Close() // whatever state the connection is in: the next attempt starts afresh
		return fmt.Errorf("mqtt: %w", err)
	}
	return nil
}

func (p *publisher) publish(ctx context.Context, b notify.Batch) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	var tokens []mqtt.Token
	for i := range b.Items {
		it := &b.Items[i]
		payload, err := json.Marshal(messageOf(p.o, it))
		if err != nil {
			return err
		}
		topic := strings.Join([]string{p.r.MQTT.Topic, levelName(it.Notice.Area), levelName(it.Notice.Condition)}, "/")
		tokens = append(tokens, p.client.Publish(topic, 1, false, payload))
	}
	for _, t := range tokens {
		if err := await(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) connect(ctx context.Context) error {
	if p.client != nil && p.client.IsConnectionOpen() {
		return nil
	}
	p.Close()
	conn := &onceConn{}
	o := mqtt.NewClientOptions().AddBroker(p.r.MQTT.Broker).SetClientID(p.o.Project + "-" + p.o.Node + "-" + p.r.Name).SetUsername(p.r.MQTT.User).
		SetPassword(p.r.MQTT.Password).SetAutoReconnect(false).SetConnectRetry(false).SetCleanSession(true).SetOrderMatters(false).
		SetConnectTimeout(timeoutOf(p.r)).SetWriteTimeout(timeoutOf(p.r)).SetKeepAlive(30 * time.Second)
	o.SetCustomOpenConnectionFn(func(u *url.URL, o mqtt.ClientOptions) (net.Conn, error) { return conn.open(ctx, p.o, u, o) })
	p.client, p.conn = mqtt.NewClient(o), conn
	return await(ctx, p.client.Connect())
}

func await(ctx context.Context, t mqtt.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// levelName keeps what is special in topics out of a name.
func levelName(s string) string {
	return strings.NewReplacer("+", "_", "#", "_", "\x00", "_").Replace(s)
}

func messageOf(o Options, it *notify.Item) mqttMessage {
	n := &it.Notice
	m := mqttMessage{
		ID: it.ID, Status: firing, Project: o.Project, Alarm: n.Condition, Occurrence: n.Occurrence, Event: n.Kind.String(), Area: n.Area, Class: n.Class, Tag: n.Tag,
		Level: n.Level.String(), Priority: n.Priority.String(), State: n.State.String(), Message: n.Message, Guidance: n.Guidance, Value: n.Value, Unit: n.Unit,
		Since: instant(n.Time),
	}
	if n.Resolved() {
		ended := instant(n.Ended)
		m.Status, m.Ended = resolved, &ended
	}
	return m
}

// onceConn remembers the connection, so that it can be closed whatever the library waits for.
type onceConn struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

var errClosed = errors.New("the connection is not wanted any more")

func (c *onceConn) open(ctx context.Context, o Options, u *url.URL, opts mqtt.ClientOptions) (net.Conn, error) {
	conn, err := o.Dial(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "ssl" {
		conn = tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12, RootCAs: opts.TLSConfig.RootCAs})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return nil, errClosed
	}
	c.conn = conn
	return conn, nil
}

// Close closes the connection, now or as soon as there is one.
func (c *onceConn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
}
