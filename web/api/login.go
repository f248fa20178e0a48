package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// sessionCookie begins the name of the cookie a log-in sets; the rest is the node.
const sessionCookie = "scada_session_"

// Login logs a person in at the first server that can be reached. The session it returns beside the description is a
// bearer token for both nodes where they share a key, else for this one.
func (c *Client) Login(ctx context.Context, in Login) (Session, string, error) {
	return c.signIn(ctx, "/session", in)
}

// ChangeOwnPassword changes the password of who is logged in and returns the session that begins with it.
func (c *Client) ChangeOwnPassword(ctx context.Context, change PasswordChange) (Session, string, error) {
	return c.signIn(ctx, "/session/password", change)
}

// signIn sends a request whose answer begins a session, to one server only: a password is not shown around.
func (c *Client) signIn(ctx context.Context, path string, in any) (Session, string, error) {
	var s Session
	body, err := json.Marshal(in)
	if err != nil {
		return s, "", fmt.Errorf("encode request: %w", err)
	}
	c.avoidFrozen(ctx)
	var errs []error
	for _, server := range c.Servers() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/api/v1"+path, bytes.NewReader(body))
		if err != nil {
			return s, "", fmt.Errorf("request: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		if c.token != "" && path != "/session" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		_ = resp.Body.Close()
		switch {
		case err != nil:
			return s, "", fmt.Errorf("read answer of %s: %w", server, err)
		case resp.StatusCode >= http.StatusMultipleChoices:
			return s, "", problemOf(resp, data)
		}
		if err := json.Unmarshal(data, &s); err != nil {
			return s, "", fmt.Errorf("answer of %s: %w", server, err)
		}
		for _, cookie := range resp.Cookies() {
			if strings.HasPrefix(cookie.Name, sessionCookie) && cookie.Value != "" {
				c.prefer(server)
				return s, cookie.Value, nil
			}
		}
		return s, "", fmt.Errorf("%s began no session", server)
	}
	return s, "", &Unreachable{Errs: errs}
}
