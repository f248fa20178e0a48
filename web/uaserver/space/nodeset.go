package space

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/gopcua/opcua/ua"
)

// element is one start tag of the node set with its attributes, and the text up to the next tag.
type element struct {
	name  string
	attrs []byte
	text  []byte
	empty bool // <a/>
	end   bool // </a>
}

// scanner walks the tags of the node set. It reads one well-formed file that is part of the program, some forty times
// faster than a general XML decoder would.
type scanner struct {
	rest []byte
}

// next returns the next tag, or false at the end. Comments and the XML declaration are passed over.
func (s *scanner) next() (element, bool) {
	for {
		i := bytes.IndexByte(s.rest, '<')
		if i < 0 {
			return element{}, false
		}
		s.rest = s.rest[i+1:]
		if bytes.HasPrefix(s.rest, []byte("!--")) {
			_, after, _ := bytes.Cut(s.rest, []byte("-->"))
			s.rest = after
			continue
		}
		tag, after, ok := bytes.Cut(s.rest, []byte{'>'})
		if !ok {
			return element{}, false
		}
		s.rest = after
		if len(tag) == 0 || tag[0] == '?' {
			continue
		}
		return s.element(tag), true
	}
}

func (s *scanner) element(tag []byte) element {
	var e element
	if e.end = tag[0] == '/'; e.end {
		tag = tag[1:]
	}
	if n := len(tag) - 1; n >= 0 && tag[n] == '/' {
		e.empty, tag = true, tag[:n]
	}
	name, attrs, _ := bytes.Cut(tag, []byte{' '})
	e.name, e.attrs = string(name), attrs
	if end := bytes.IndexByte(s.rest, '<'); end > 0 && !e.end {
		e.text = s.rest[:end]
	}
	return e
}

// attr returns the value of an attribute, or "".
func (e element) attr(name string) string {
	rest := e.attrs
	for len(rest) > 0 {
		key, after, ok := bytes.Cut(rest, []byte(`="`))
		if !ok {
			return ""
		}
		value, next, _ := bytes.Cut(after, []byte{'"'})
		if string(bytes.TrimSpace(key)) == name {
			return unescape(value)
		}
		rest = next
	}
	return ""
}

func unescape(b []byte) string {
	s := string(b)
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&").Replace(s)
}

// value returns what is inside <Value>…</Value>, whose start tag was just read. Values contain elements of the same
// name; the layout of the file tells them apart.
func (s *scanner) value() []byte {
	const end = "</Value>"
	i := bytes.Index(s.rest, []byte(end+"\n  </UA"))
	if i < 0 {
		return nil
	}
	inside := s.rest[:i]
	s.rest = s.rest[i+len(end):]
	return inside
}

// numericID parses i=NUMBER of namespace 0, or an alias of it.
func (l *loader) numericID(s string) (uint32, bool) {
	if alias, ok := l.aliases[s]; ok {
		s = alias
	}
	digits, ok := strings.CutPrefix(s, "i=")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil
}

// xmlValues are the values of the node set that clients make use of: names of enumerations and arguments of methods.
type xmlValues struct {
	Texts  []xmlText     `xml:"LocalizedText"`
	Bodies []xmlExtended `xml:"ExtensionObject"`
}

type xmlText struct {
	Locale string `xml:"Locale"`
	Text   string `xml:"Text"`
}

type xmlExtended struct {
	Enum *struct {
		Value       int64   `xml:"Value"`
		DisplayName xmlText `xml:"DisplayName"`
	} `xml:"Body>EnumValueType"`
	Argument *struct {
		Name     string `xml:"Name"`
		DataType string `xml:"DataType>Identifier"`
		Rank     int32  `xml:"ValueRank"`
	} `xml:"Body>Argument"`
}

// parseValue reads one of those values; nil if it is of another kind.
func (l *loader) parseValue(raw []byte) (*ua.Variant, error) {
	texts := bytes.Contains(raw, []byte("<ListOfLocalizedText"))
	if !texts && !bytes.Contains(raw, []byte("<EnumValueType>")) && !bytes.Contains(raw, []byte("<Argument>")) {
		return nil, nil
	}
	var v xmlValues
	if err := xml.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	if texts {
		list := make([]*ua.LocalizedText, len(v.Texts))
		for i, t := range v.Texts {
			list[i] = ua.NewLocalizedTextWithLocale(t.Text, t.Locale)
		}
		return ua.NewVariant(list)
	}
	list := make([]*ua.ExtensionObject, 0, len(v.Bodies))
	for _, b := range v.Bodies {
		switch {
		case b.Enum != nil:
			list = append(list, ua.NewExtensionObject(&ua.EnumValueType{
				Value: b.Enum.Value, DisplayName: ua.NewLocalizedText(b.Enum.DisplayName.Text), Description: ua.NewLocalizedText(""),
			}))
		case b.Argument != nil:
			n, _ := l.numericID(b.Argument.DataType)
			list = append(list, ua.NewExtensionObject(&ua.Argument{
				Name: b.Argument.Name, DataType: numeric(n), ValueRank: b.Argument.Rank, ArrayDimensions: []uint32{}, Description: ua.NewLocalizedText(""),
			}))
		}
	}
	return ua.NewVariant(list)
}
