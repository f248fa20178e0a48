package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Identity is who somebody is, in the words of the provider.
type Identity struct {
	Issuer, Subject string
	User            string   // of the claim for the name
	Roles           []string // of the claim for the roles
	IDToken         string   // to end the session at the provider with
}

// Finish exchanges the code the browser came back with, and checks what the provider says for it.
func (c *Client) Finish(ctx context.Context, redirect, code string, f Flow) (Identity, error) {
	if code == "" || len(code) > maxCode {
		return Identity{}, fmt.Errorf("a code of %d bytes", len(code))
	}
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	p, err := c.provider(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = goidc.ClientContext(ctx, c.http)
	token, err := c.oauth(p, redirect).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return Identity{}, exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxToken {
		return Identity{}, fmt.Errorf("an ID token of %d bytes", len(raw))
	}
	id, err := c.verify(ctx, p, raw, token.AccessToken, f.Nonce)
	if err != nil {
		return Identity{}, err
	}
	claims, err := c.claims(ctx, p, id, token)
	if err != nil {
		return Identity{}, err
	}
	out := Identity{Issuer: id.Issuer, Subject: id.Subject, IDToken: raw}
	if out.User, err = userOf(claims, c.cfg.UserClaim); err != nil {
		return Identity{}, fmt.Errorf("subject %q: %w", id.Subject, err)
	}
	out.Roles = valuesOf(claims, c.cfg.RoleClaim)
	return out, nil
}

// exchangeError tells a provider that refuses from one that does not answer.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return fmt.Errorf("exchanging the code: %w: %w", ErrUnavailable, err)
	}
	if refused.Response != nil && refused.Response.StatusCode >= 500 {
		return fmt.Errorf("exchanging the code: %w: it says %s", ErrUnavailable, refused.Response.Status)
	}
	return fmt.Errorf("exchanging the code: the provider refuses: %.100q", refused.ErrorCode)
}

// verify checks the ID token: who made it, for whom, when, for which log-in and with which access token.
func (c *Client) verify(ctx context.Context, p *provider, raw, access, nonce string) (*goidc.IDToken, error) {
	now := c.cfg.Now()
	id, err := p.VerifierContext(ctx, &goidc.Config{ClientID: c.cfg.ClientID, Now: func() time.Time { return now.Add(-skew) }}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	var more struct {
		Party string `json:"azp"`
	}
	if err := id.Claims(&more); err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	switch {
	case nonce == "" || id.Nonce != nonce:
		return nil, errors.New("ID token: the nonce is not that of this log-in")
	case id.Subject == "" || len(id.Subject) > maxSubject:
		return nil, fmt.Errorf("ID token: a subject of %d bytes", len(id.Subject))
	case id.IssuedAt.After(now.Add(skew)):
		return nil, fmt.Errorf("ID token: issued at %s, that is after now", id.IssuedAt.UTC().Format(time.RFC3339))
	case now.Sub(id.IssuedAt) > maxTokenAge:
		return nil, fmt.Errorf("ID token: issued at %s, that is too long ago", id.IssuedAt.UTC().Format(time.RFC3339))
	case more.Party != "" && more.Party != c.cfg.ClientID, len(id.Audience) > 1 && more.Party == "":
		return nil, fmt.Errorf("ID token: it is for another party (azp %.100q)", more.Party)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(access); err != nil {
			return nil, fmt.Errorf("ID token: %w", err)
		}
	}
	return id, nil
}

// claims are what the ID token says and, where name or roles are not in it, what the provider says of the user: many put
// them only there.
func (c *Client) claims(ctx context.Context, p *provider, id *goidc.IDToken, token *oauth2.Token) (map[string]any, error) {
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return nil, fmt.Errorf("ID token: %w", err)
	}
	_, named := lookUp(claims, c.cfg.UserClaim)
	_, granted := lookUp(claims, c.cfg.RoleClaim)
	if named && granted || !p.userInfo {
		return claims, nil
	}
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("asking the provider about the user: %w: %w", ErrUnavailable, err)
	}
	if info.Subject != id.Subject {
		return nil, errors.New("asking the provider about the user: it tells of another one")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return nil, fmt.Errorf("asking the provider about the user: %w", err)
	}
	for _, name := range []string{c.cfg.UserClaim, c.cfg.RoleClaim} {
		top := name
		if _, whole := more[name]; !whole {
			top, _, _ = strings.Cut(name, ".")
		}
		if v, there := more[top]; there {
			if _, known := lookUp(claims, name); !known {
				claims[top] = v
			}
		}
	}
	return claims, nil
}

// lookUp finds a claim by its name or, as some providers nest them, by its path.
func lookUp(claims map[string]any, name string) (any, bool) {
	if v, ok := claims[name]; ok {
		return v, true
	}
	first, rest, nested := strings.Cut(name, ".")
	if !nested {
		return nil, false
	}
	inner, ok := claims[first].(map[string]any)
	if !ok {
		return nil, false
	}
	return lookUp(inner, rest)
}

// MaxUser is the length of a user's name in bytes.
const MaxUser = 59

// userOf is the name a user is known by: it stands in journals and on pages.
func userOf(claims map[string]any, claim string) (string, error) {
	v, _ := lookUp(claims, claim)
	name, _ := v.(string)
	if name == "" {
		return "", fmt.Errorf("there is no text %q in what the provider says", claim)
	}
	odd := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("-_.@+", r)
	}
	if len(name) > MaxUser || strings.ContainsFunc(name, odd) || strings.ContainsRune(name, unicode.ReplacementChar) {
		return "", fmt.Errorf("the name %.100q: at most %d bytes of letters, digits, - _ . @ +", name, MaxUser)
	}
	return name, nil
}

// valuesOf are the texts of a claim that holds one or a list of them.
func valuesOf(claims map[string]any, claim string) []string {
	v, _ := lookUp(claims, claim)
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v[:min(len(v), maxValues)] {
			if text, ok := e.(string); ok && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}
