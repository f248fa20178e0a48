package web

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"scada/web/api"
)

// object is a JSON object of the description; encoding/json writes its members in order of their names.
type object map[string]any

func (s *Server) getOpenAPI(*call) (any, error) {
	return describe(routes(), s.backend.Node().Version), nil
}

// describe writes the table as an OpenAPI 3.1 document. The schemas come from the Go types that are sent, so that they
// cannot differ from them.
func describe(table []route, version string) object {
	schemas, paths := object{}, object{}
	for _, rt := range table {
		name := strings.ReplaceAll(rt.pattern, "...}", "}")
		item, ok := paths[name].(object)
		if !ok {
			item = object{}
			paths[name] = item
		}
		item[strings.ToLower(rt.method)] = operation(rt, name, schemas)
	}
	schema(typeOf[api.Problem](), schemas)
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "SCADA node", "version": version, "description": "Errors are RFC 9457 problem documents. Times are RFC 3339 UTC, qualities OPC UA status names. Health and metrics answer below " + base + " as well."},
		"paths":   paths,
		"components": object{"schemas": schemas, "securitySchemes": object{
			"bearer": object{"type": "http", "scheme": "bearer"},
			"cookie": object{"type": "apiKey", "in": "cookie", "name": "scada_session_<node>"},
		}},
	}
}

func operation(rt route, name string, schemas object) object {
	params := []object{}
	for _, rest := range strings.Split(name, "{")[1:] {
		inner, _, _ := strings.Cut(rest, "}")
		p := object{"name": inner, "in": "path", "required": true, "schema": object{"type": "string"}}
		if strings.Contains(rt.pattern, "{"+inner+"...}") {
			p["description"] = "may hold slashes"
		}
		params = append(params, p)
	}
	for _, p := range rt.params {
		params = append(params, object{"name": p.name, "in": "query", "description": p.about, "schema": object{"type": "string"}})
	}
	problem := object{"description": "Refused", "content": object{"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/Problem"}}}}
	ok := object{"description": "Done"}
	switch {
	case rt.answer != nil:
		ok["content"] = object{"application/json": object{"schema": schema(rt.answer, schemas)}}
	case len(rt.media) > 0:
		content := object{}
		for _, m := range rt.media {
			content[m] = object{}
		}
		ok["content"] = content
	}
	responses := object{"200": ok, "default": problem}
	if rt.moves {
		responses = object{"303": object{"description": "To the OpenID provider, or back to the dashboard"}, "default": problem}
	}
	if rt.fails != 0 {
		responses[strconv.Itoa(rt.fails)] = object{"description": "Not so", "content": ok["content"]}
	}
	if rt.empty {
		responses["204"] = object{"description": "Done"}
	}
	op := object{"summary": rt.summary, "parameters": params, "responses": responses, "x-permission": string(rt.permission)}
	if rt.body != nil {
		op["requestBody"] = object{"content": object{"application/json": object{"schema": schema(rt.body, schemas)}}}
	}
	op["security"] = []object{{"bearer": []string{}}, {"cookie": []string{}}}
	if rt.permission == Anonymous {
		op["security"] = []object{}
	}
	return op
}

// schema returns the JSON schema of a type; named structs go into schemas and are referred to.
func schema(t reflect.Type, schemas object) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return object{"anyOf": []object{schema(t.Elem(), schemas), {"type": "null"}}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": schema(t.Elem(), schemas)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(t.Elem(), schemas)}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return structSchema(t, schemas)
	}
	if t.ConvertibleTo(reflect.TypeFor[int64]()) {
		return object{"type": "integer"}
	}
	panic(fmt.Sprintf("web: no schema for %v", t))
}

func structSchema(t reflect.Type, schemas object) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, done := schemas[t.Name()]; done {
		return ref
	}
	properties := object{}
	schemas[t.Name()] = object{"type": "object", "properties": properties}
	addFields(t, properties, schemas)
	return ref
}

func addFields(t reflect.Type, properties, schemas object) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			addFields(f.Type, properties, schemas)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			properties[name] = schema(f.Type, schemas)
		}
	}
}
