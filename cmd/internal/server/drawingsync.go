package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"time"

	"scada/web"
	"scada/web/svg"
)

const (
	drawingsWithin = 5 * time.Second // one request
	// maxAhead is how far in the future a version of the other node may be.
	maxAhead = 24 * time.Hour
)

// mimicsRequest is what the standby asks: what is different, one drawing, or to take one.
type mimicsRequest struct {
	Digest string   `json:"digest,omitempty"` // compare with this
	Get    string   `json:"get,omitempty"`    // the drawing of this name
	Put    string   `json:"put,omitempty"`    // the body is the drawing of this name
	Have   *drawing `json:"have,omitempty"`   // which version
}

// mimicsAnswer is what the active has, if it is something else.
type mimicsAnswer struct {
	Known map[string]drawing `json:"known,omitempty"`
}

// here answers the standby.
func (d *drawings) here(req mimicsRequest, body []byte) ([]byte, error) {
	switch {
	case req.Get != "":
		return d.packed(req.Get)
	case req.Put != "" && req.Have != nil:
		return []byte("{}"), d.receive(req.Put, *req.Have, body)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.digest() == req.Digest {
		return answer(mimicsAnswer{}, nil)
	}
	return answer(mimicsAnswer{Known: d.known}, nil)
}

// ask has the active answer a request.
func (d *drawings) ask(ctx context.Context, req mimicsRequest, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, drawingsWithin)
	defer cancel()
	payload, err := request{Op: opMimics, Mimics: &req}.encode(body)
	if err != nil {
		return nil, err
	}
	return d.s.pair.Forward(ctx, d.s.areaNames[0], payload)
}

// compare makes the drawings of both nodes the same: each gets the versions of the other that are later.
func (d *drawings) compare(ctx context.Context) error {
	d.mu.Lock()
	digest, ours := d.digest(), maps.Clone(d.known)
	d.mu.Unlock()
	b, err := d.ask(ctx, mimicsRequest{Digest: digest}, nil)
	if err != nil {
		return err
	}
	var theirs mimicsAnswer
	if err := json.Unmarshal(b, &theirs); err != nil {
		return fmt.Errorf("answer of the active node about drawings: %w", err)
	}
	if theirs.Known == nil {
		return nil
	}
	// A drawing that cannot be exchanged ends the attempt. It does not hold up the others for long: maps have no order.
	for name, v := range theirs.Known {
		if v.after(ours[name]) {
			if err := d.fetch(ctx, name, v); err != nil {
				return err
			}
		}
	}
	for name, v := range ours {
		if v.after(theirs.Known[name]) {
			if err := d.push(ctx, name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *drawings) fetch(ctx context.Context, name string, v drawing) error {
	var body []byte
	if v.Hash != "" {
		var err error
		if body, err = d.ask(ctx, mimicsRequest{Get: name}, nil); err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
	}
	return d.receive(name, v, body)
}

func (d *drawings) push(ctx context.Context, name string, v drawing) error {
	var body []byte
	if v.Hash != "" {
		var err error
		if body, err = d.packed(name); err != nil {
			return err
		}
	}
	if _, err := d.ask(ctx, mimicsRequest{Put: name, Have: &v}, body); err != nil {
		return fmt.Errorf("drawing %s: %w", name, err)
	}
	return nil
}

// packed is a drawing as it travels.
func (d *drawings) packed(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[name].Hash == "" {
		return nil, fmt.Errorf("there is no drawing %q", name)
	}
	b, err := readStored(d.file(name), svg.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("drawing %s: %w", name, err)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(b)
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("packing drawing %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// receive takes over a version of the other node, unless it is no later than the one here.
func (d *drawings) receive(name string, v drawing, packed []byte) error {
	if !web.MimicName(name) || v.At > time.Now().Add(maxAhead).UnixNano() {
		return fmt.Errorf("the other node has a drawing %.80q of %s", name, time.Unix(0, v.At).UTC().Format(time.RFC3339))
	}
	var b []byte
	if v.Hash != "" {
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err == nil {
			b, err = io.ReadAll(io.LimitReader(z, svg.MaxBytes+1))
		}
		if err != nil {
			return fmt.Errorf("unpacking drawing %s: %w", name, err)
		}
		if len(b) > svg.MaxBytes || hashOf(b) != v.Hash {
			return fmt.Errorf("drawing %s: %d bytes that are not what was announced", name, len(b))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.after(d.known[name]) {
		return nil
	}
	if !d.put(name, v, b) {
		return fmt.Errorf("drawing %s was not taken over: the log of node %s tells why", name, d.s.nodeName)
	}
	d.save()
	d.s.log.Info("A drawing came from the other node", "drawing", name, "removed", v.Hash == "")
	return nil
}
