package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The parts of an OpenAPI document that openapi.json uses.
type (
	apiDocument struct {
		Paths      map[string]map[string]apiOperation
		Components struct{ Schemas map[string]*apiSchema }
	}
	apiOperation struct {
		Parameters []struct {
			Name, In string
			Required bool
		}
		RequestBody *struct {
			Content map[string]struct{ Schema *apiSchema }
		}
		Responses  map[string]apiResponse
		Security   []map[string][]string
		Permission string `json:"x-permission"`
	}
	apiResponse struct {
		Content map[string]struct{ Schema *apiSchema }
	}
	apiSchema struct {
		Ref                  string `json:"$ref"`
		Type, Format         string
		AnyOf                []*apiSchema
		Items                *apiSchema
		Properties           map[string]*apiSchema
		AdditionalProperties *apiSchema
	}
)

// check returns the first way in which a value is not what the schema says. A member the schema does not name is one.
func (d *apiDocument) check(s *apiSchema, v any, at string) error {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		if d.Components.Schemas[name] == nil {
			return fmt.Errorf("%s: no schema %s", at, s.Ref)
		}
		return d.check(d.Components.Schemas[name], v, at)
	}
	if len(s.AnyOf) > 0 {
		return d.checkAny(s.AnyOf, v, at)
	}
	fits := true
	switch s.Type {
	case "":
	case "null":
		fits = v == nil
	case "boolean":
		_, fits = v.(bool)
	case "string":
		var text string
		if text, fits = v.(string); fits && s.Format == "date-time" {
			_, err := time.Parse(time.RFC3339Nano, text)
			fits = err == nil
		}
	case "number":
		_, fits = v.(json.Number)
	case "integer":
		var n json.Number
		n, fits = v.(json.Number)
		fits = fits && !strings.ContainsAny(n.String(), ".eE")
	case "array":
		return d.checkList(s, v, at)
	case "object":
		return d.checkObject(s, v, at)
	default:
		return fmt.Errorf("%s: no type %q", at, s.Type)
	}
	if !fits {
		return fmt.Errorf("%s: %.80v is no %s %s", at, v, s.Type, s.Format)
	}
	return nil
}

func (d *apiDocument) checkAny(any []*apiSchema, v any, at string) error {
	var err error
	for _, s := range any {
		if err = d.check(s, v, at); err == nil {
			return nil
		}
	}
	return err
}

func (d *apiDocument) checkList(s *apiSchema, v any, at string) error {
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%s: %.80v is no array", at, v)
	}
	for i, e := range list {
		if err := d.check(s.Items, e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return nil
}

func (d *apiDocument) checkObject(s *apiSchema, v any, at string) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: %.80v is no object", at, v)
	}
	for name, e := range object {
		inner := s.Properties[name]
		if inner == nil {
			inner = s.AdditionalProperties
		}
		if inner == nil {
			return fmt.Errorf("%s: the member %q is not described", at, name)
		}
		if err := d.check(inner, e, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}

// checkAnswer holds an answer against what the document says of the operation.
func (d *apiDocument) checkAnswer(op apiOperation, status int, contentType string, body []byte) error {
	described, ok := op.Responses[fmt.Sprint(status)]
	if !ok && status < 400 {
		return fmt.Errorf("the status %d is not described", status)
	}
	if !ok {
		described = op.Responses["default"]
	}
	if len(described.Content) == 0 {
		if len(body) > 0 && status != 303 {
			return fmt.Errorf("an answer where none is described: %.80q", body)
		}
		return nil
	}
	media, _, _ := strings.Cut(contentType, ";")
	content, ok := described.Content[media]
	if !ok {
		return fmt.Errorf("an answer with %d of the type %q is not described: %.80q", status, media, body)
	}
	if content.Schema == nil || !slices.Contains([]string{"application/json", "application/problem+json"}, media) {
		return nil
	}
	var v any
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return d.check(content.Schema, v, "answer")
}
