package send_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"scada/alarms/notify/send"
)

// broker is a real mosquitto on a port of its own.
type broker struct {
	t    *testing.T
	port int
	conf string
	cmd  *exec.Cmd
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	const program = "/usr/sbin/mosquitto"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mosquitto is not installed, and CI=true")
		}
		t.Skip("mosquitto is not installed (Debian package mosquitto)")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := l.Addr().(*net.TCPAddr)
	l.Close()
	b := &broker{t: t, port: addr.Port, conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n", b.port)
	if err := os.WriteFile(b.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	b.cmd = exec.Command("/usr/sbin/mosquitto", "-c", b.conf)
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := (&net.Dialer{}).DialContext(b.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal(err)
		}
	}
}

func (b *broker) stop() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

func (b *broker) url() string { return fmt.Sprintf("tcp://127.0.0.1:%d", b.port) }

// subscribe returns what arrives under a topic.
func (b *broker) subscribe(topic string) <-chan mqtt.Message {
	b.t.Helper()
	got := make(chan mqtt.Message, 100)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(b.url()).SetClientID("reader").SetAutoReconnect(false))
	if tok := c.Connect(); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		b.t.Fatal(tok.Error())
	}
	if tok := c.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { got <- m }); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		b.t.Fatal(tok.Error())
	}
	b.t.Cleanup(func() { c.Disconnect(0) })
	return got
}

func TestMosquitto(t *testing.T) {
	b := newBroker(t)
	got := b.subscribe("plant/#")
	s := sender(t, send.Receiver{MQTT: &send.MQTT{Broker: b.url(), Topic: "plant"}})
	if err := s.Send(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	topics := map[string]map[string]any{}
	for range 2 {
		select {
		case m := <-got:
			var body map[string]any
			if err := json.Unmarshal(m.Payload(), &body); err != nil || m.Qos() != 1 {
				t.Errorf("%v, quality %d: %s", err, m.Qos(), m.Payload())
			}
			topics[m.Topic()] = body
		case <-time.After(10 * time.Second):
			t.Fatal("nothing arrives")
		}
	}
	if x := topics["plant/main/pump1-trip"]; x["id"] != "pump1-trip#3/RAISE@duty" || x["status"] != "firing" || x["occurrence"] != 3.0 || x["priority"] != "critical" {
		t.Errorf("%+v", topics)
	}
	if x := topics["plant/main/level/tank_1_"]; x["status"] != "resolved" || x["ended"] == nil {
		t.Errorf("%+v", topics)
	}
	b.stop()
	if err := s.Send(t.Context(), batch()); err == nil {
		t.Error("a broker that is gone has taken it")
	}
	b.start()
	got = b.subscribe("plant/#")
	if err := s.Send(t.Context(), batch()); err != nil {
		t.Errorf("after its return: %v", err)
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("nothing arrives after its return")
	}
}

// TestABrokerThatStalls accepts connections and never says a word.
func TestABrokerThatStalls(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := sender(t, send.Receiver{Timeout: 300 * time.Millisecond, MQTT: &send.MQTT{Broker: "tcp://" + l.Addr().String(), Topic: "plant"}})
	for range 2 {
		if err := s.Send(t.Context(), batch()); err == nil {
			t.Error("it has taken it")
		}
	}
}
