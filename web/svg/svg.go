// Package svg makes drawings of users fit for the dashboard. A drawing program, or somebody else, wrote them; they are shown
// inside the page that gives commands to the plant. So nothing is taken over but what is on a list: shapes, texts, gradients,
// and the attributes that bind them to tags. Scripts, links, foreign content, style sheets and anything that loads are left out.
package svg

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of a drawing.
const (
	MaxBytes    = 2 << 20 // of the file
	maxDepth    = 64
	maxElements = 50_000
	maxValue    = 256 << 10 // bytes of an attribute: long paths
	maxText     = 4 << 10   // bytes of a text
)

const namespace = "http://www.w3.org/2000/svg"

// Clean reads a drawing and returns what may be shown of it. Whatever is not allowed is left out without a word; what is no
// drawing, or too large, is an error.
func Clean(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("svg: %w", err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("svg: more than %d bytes", MaxBytes)
	}
	c := cleaner{in: xml.NewDecoder(bytes.NewReader(data))}
	c.in.Strict = true
	c.in.Entity = map[string]string{} // none but the five of XML: a document cannot define its own
	if err := c.run(); err != nil {
		return nil, err
	}
	return c.out.Bytes(), nil
}

type cleaner struct {
	in    *xml.Decoder
	out   bytes.Buffer
	open  []string // elements written and not yet closed
	count int
	rooted,
	done bool
}

func (c *cleaner) run() error {
	for {
		t, err := c.in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("svg: %w", err)
		}
		if err := c.token(t); err != nil {
			return err
		}
	}
	if !c.done {
		return errors.New("svg: no drawing in it")
	}
	return nil
}

func (c *cleaner) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return c.start(t)
	case xml.EndElement:
		c.out.WriteString("</" + c.open[len(c.open)-1] + ">")
		c.open = c.open[:len(c.open)-1]
		c.done = c.done || len(c.open) == 0
	case xml.CharData:
		if len(c.open) > 0 && textual[c.open[len(c.open)-1]] {
			return c.text(t)
		}
	}
	return nil // comments, instructions and declarations are left out
}

func (c *cleaner) text(t xml.CharData) error {
	if len(t) > maxText {
		return fmt.Errorf("svg: a text of more than %d bytes", maxText)
	}
	if err := xml.EscapeText(&c.out, t); err != nil {
		return fmt.Errorf("svg: %w", err)
	}
	return nil
}

func (c *cleaner) start(t xml.StartElement) error {
	name := t.Name.Local
	ours := t.Name.Space == "" || t.Name.Space == namespace
	switch {
	case !c.rooted && (name != "svg" || !ours):
		return fmt.Errorf("svg: it begins with <%s>", name)
	case c.done:
		return errors.New("svg: more than one drawing")
	case !ours || !elements[name] || c.rooted && name == "svg":
		if err := c.in.Skip(); err != nil { // with everything in it
			return fmt.Errorf("svg: %w", err)
		}
		return nil
	}
	c.rooted = true
	c.count++
	if c.count > maxElements {
		return fmt.Errorf("svg: more than %d elements", maxElements)
	}
	if len(c.open) >= maxDepth {
		return fmt.Errorf("svg: more than %d elements inside each other", maxDepth)
	}
	c.open = append(c.open, name)
	c.out.WriteString("<" + name)
	if len(c.open) == 1 {
		c.out.WriteString(` xmlns="` + namespace + `"`)
	}
	written := map[string]bool{}
	for _, a := range t.Attr {
		if err := c.attribute(name, a, written); err != nil {
			return err
		}
	}
	c.out.WriteString(">")
	return nil
}

func (c *cleaner) attribute(element string, a xml.Attr, written map[string]bool) error {
	if len(a.Value) > maxValue {
		return fmt.Errorf("svg: an attribute of more than %d bytes", maxValue)
	}
	name := a.Name.Local
	if name == "style" && a.Name.Space == "" {
		return c.style(a.Value, written)
	}
	if name == "href" && (a.Name.Space == "" || a.Name.Space == "http://www.w3.org/1999/xlink") {
		return c.write(name, reference(element, a.Value), written)
	}
	if a.Name.Space != "" {
		return nil
	}
	return c.write(name, value(name, a.Value), written)
}

// style turns declarations into attributes: the page's security policy allows no inline styles.
func (c *cleaner) style(text string, written map[string]bool) error {
	for declaration := range strings.SplitSeq(text, ";") {
		name, v, ok := strings.Cut(declaration, ":")
		name = strings.TrimSpace(name)
		if !ok || !presentation[name] {
			continue
		}
		if err := c.write(name, value(name, strings.TrimSpace(v)), written); err != nil {
			return err
		}
	}
	return nil
}

func (c *cleaner) write(name, v string, written map[string]bool) error {
	if v == "" || written[name] {
		return nil
	}
	written[name] = true
	c.out.WriteString(" " + name + `="`)
	if err := xml.EscapeText(&c.out, []byte(v)); err != nil {
		return fmt.Errorf("svg: %w", err)
	}
	c.out.WriteByte('"')
	return nil
}
