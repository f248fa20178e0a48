package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer = 64 << 10 // bytes of an answer that are read, and of its header
	// maxRetryAfter bounds how long an engine may have us wait.
	maxRetryAfter = 10 * time.Minute
)

// verdict is what became of a request.
type verdict int

const (
	taken  verdict = iota // the engine has it
	wrong                 // something in it is wrong: sending it again does not help
	later                 // it has to be sent again, whether the engine is down, busy or not set up for us
	failed                // nobody answered
)

// answer is what became of a request.
type answer struct {
	verdict verdict
	status  int // 0 without an answer
	reason  string
	wait    time.Duration // at least, before it is sent again
}

func (a answer) Error() string {
	if a.status == 0 {
		return a.reason
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s: %s", a.status, http.StatusText(a.status), a.reason))
}

// client sends requests over one connection, and notices when that is no longer the same.
type client struct {
	http *http.Client
	c    Config
	head http.Header

	connected bool // there has been a connection
	announced bool // the engine said that it would close it
	lost      bool // the connection was replaced without that: the engine may have lost what it took
}

func newClient(o *Options) (*client, error) {
	t := &http.Transport{
		DialContext: o.Dial, Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true,
		MaxResponseHeaderBytes: maxAnswer, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if o.CA != "" {
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(o.CA)) {
			return nil, errors.New("there is no certificate in the CA file")
		}
	}
	c := &client{c: o.Config, head: http.Header{}, http: &http.Client{
		Transport: t, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for k, v := range o.Headers {
		c.head.Set(k, v)
	}
	c.head.Set("Content-Type", "application/x-protobuf")
	c.head.Set("Content-Encoding", "snappy")
	c.head.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	c.head.Set("User-Agent", "scada/"+o.Version)
	if o.Bearer != "" {
		c.head.Set("Authorization", "Bearer "+o.Bearer)
	}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// send makes one request.
func (c *client) send(ctx context.Context, body []byte) answer {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			c.lost = c.lost || c.connected && !c.announced
			c.connected, c.announced = true, false
		}
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, c.c.URL, bytes.NewReader(body))
	if err != nil {
		return answer{verdict: failed, reason: err.Error()}
	}
	r.Header = c.head.Clone()
	if c.c.User != "" {
		r.SetBasicAuth(c.c.User, c.c.Password)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.lost = c.connected
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // without the address: its path may be a secret
		}
		return answer{verdict: failed, reason: clean(err.Error())}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if more, _ := io.CopyN(io.Discard, resp.Body, 1); more > 0 || err != nil {
		c.announced = true // the rest is not read, which closes the connection
	}
	c.announced = c.announced || resp.Close
	a := answer{status: resp.StatusCode, reason: clean(string(text)), wait: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if a.verdict = judge(a.status); a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout {
		c.lost = true // somebody in between could not reach the engine
	}
	return a
}

// judge says what a status means.
func judge(status int) verdict {
	switch {
	case status >= 200 && status < 300:
		return taken
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return wrong
	}
	// Among them are a wrong password or path: nothing about the samples is wrong then.
	return later
}

// retryAfter reads the header of the same name: seconds or a date. What can't be read is nothing.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// clean makes a foreign text one short line.
func clean(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return text
}
