package send

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"scada/alarms/notify"
)

// Webhook is an HTTP address that takes notifications in the form of Alertmanager's webhooks, version 4.
type Webhook struct {
	URL    string
	Bearer string // token; empty: none
}

// Alertmanager is one or more Alertmanagers of a cluster. Each gets everything; one that answers is enough.
type Alertmanager struct {
	URLs   []string // without /api/v2
	Bearer string
}

// firingFor is how long an Alertmanager takes an alarm for active without hearing of it. The end of an alarm is sent, so
// this matters only when nobody is left to send it.
const firingFor = notify.MaxWait

// alert is one alarm, as both forms have it.
type alert struct {
	Status       string            `json:"status,omitempty"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
}

// message is the body of a webhook.
type message struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []alert           `json:"alerts"`
}

const (
	firing   = "firing"
	resolved = "resolved"
)

// alertOf describes an alarm. The labels are its identity for the receiver: the same on both nodes, and from the first
// message of an alarm to the last.
func alertOf(o Options, it *notify.Item) alert {
	n := &it.Notice
	a := alert{
		Status: firing, StartsAt: instant(n.Time), GeneratorURL: o.ExternalURL,
		Labels: map[string]string{"alertname": n.Condition, "project": o.Project, "area": n.Area, "severity": n.Priority.String()},
		Annotations: map[string]string{"id": it.ID, "occurrence": strconv.FormatUint(n.Occurrence, 10), "event": n.Kind.String(), "state": n.State.String(),
			"summary": n.Message, "description": n.Guidance, "level": n.Level.String(), "value": strings.TrimSpace(n.Value + " " + n.Unit)},
	}
	for name, v := range map[string]string{"class": n.Class, "tag": n.Tag} {
		if v != "" {
			a.Labels[name] = v
		}
	}
	maps.DeleteFunc(a.Annotations, func(_, v string) bool { return v == "" })
	if n.Resolved() {
		a.Status, a.EndsAt = resolved, instant(n.Ended)
	}
	a.Fingerprint = fingerprint(a.Labels)
	return a
}

func fingerprint(labels map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(h, "%q=%q,", k, labels[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

type webhook struct {
	r    Receiver
	o    Options
	http *http.Client
}

func newWebhook(r Receiver, o Options) *webhook { return &webhook{r: r, o: o, http: newHTTP(o)} }

// newHTTP returns a client that follows nobody elsewhere: a redirection to a log-in page is no receipt.
func newHTTP(o Options) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: o.Dial, MaxIdleConns: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send implements [Sender].
func (w *webhook) Send(ctx context.Context, b notify.Batch) error {
	m := message{
		Version: "4", Receiver: w.r.Name, Status: resolved, ExternalURL: w.o.ExternalURL, GroupLabels: map[string]string{"project": w.o.Project},
		GroupKey: fmt.Sprintf("{}:{project=%q}", w.o.Project),
	}
	for i := range b.Items {
		a := alertOf(w.o, &b.Items[i])
		if a.Status == firing {
			m.Status = firing
		}
		m.Alerts = append(m.Alerts, a)
		m.CommonLabels = common(m.CommonLabels, a.Labels, i == 0)
		m.CommonAnnotations = common(m.CommonAnnotations, a.Annotations, i == 0)
	}
	return post(ctx, w.http, w.r.Webhook.URL, w.r.Webhook.Bearer, batchID(b), m)
}

// common keeps what all alarms of a message share.
func common(sum, next map[string]string, first bool) map[string]string {
	if first {
		return maps.Clone(next)
	}
	maps.DeleteFunc(sum, func(k, v string) bool { return next[k] != v })
	return sum
}

// Close implements [Sender].
func (w *webhook) Close() { w.http.CloseIdleConnections() }

type alertmanager struct {
	r    Receiver
	o    Options
	http *http.Client
}

func newAlertmanager(r Receiver, o Options) *alertmanager {
	return &alertmanager{r: r, o: o, http: newHTTP(o)}
}

// Send implements [Sender]. The members of a cluster tell each other, and may not: each is told.
func (m *alertmanager) Send(ctx context.Context, b notify.Batch) error {
	list := make([]alert, 0, len(b.Items))
	for i := range b.Items {
		a := alertOf(m.o, &b.Items[i])
		if a.Status == firing {
			a.EndsAt = a.StartsAt.Add(firingFor)
			if again := b.Items[i].Rounds; again > 0 { // a repetition proves that it goes on
				a.EndsAt = instant(b.Items[i].Due).Add(firingFor)
			}
		}
		a.Status, a.Fingerprint = "", ""
		list = append(list, a)
	}
	urls := m.r.Alertmanager.URLs
	errs := make(chan error, len(urls))
	for _, u := range urls {
		go func() {
			errs <- post(ctx, m.http, strings.TrimSuffix(u, "/")+"/api/v2/alerts", m.r.Alertmanager.Bearer, batchID(b), list)
		}()
	}
	var failed []error
	for range urls {
		if err := <-errs; err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) < len(urls) {
		return nil
	}
	return errors.Join(failed...)
}

// Close implements [Sender].
func (m *alertmanager) Close() { m.http.CloseIdleConnections() }

// post sends JSON and wants an answer of success.
func post(ctx context.Context, c *http.Client, url, bearer, id string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a notification: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // to its end, so that the connection is used again
	switch {
	case resp.StatusCode/100 == 2 && err != nil:
		return fmt.Errorf("notification: the answer of %s breaks off: %w", req.URL.Host, err)
	case resp.StatusCode/100 == 2:
		return nil
	case refuses(resp.StatusCode):
		return fmt.Errorf("notification: %s answers %s (%s): %w", req.URL.Host, resp.Status, short(answer), ErrRefused)
	}
	return fmt.Errorf("notification: %s answers %s (%s)", req.URL.Host, resp.Status, short(answer))
}

// refuses reports whether a status says that the same request will never be taken. A missing page, a missing right or
// too many requests may be mended on the other side.
func refuses(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType || status == http.StatusUnprocessableEntity
}
