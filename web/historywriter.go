package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"

	"scada/web/api"
)

const (
	// sendFrom is how many bytes of an answer are collected before the first of them are sent: until then an error can still be
	// told as one.
	sendFrom = 64 << 10
	// encodeAtOnce is how many samples become JSON at once.
	encodeAtOnce = 64
)

// historyWriter writes an [api.History] as it comes in. What it writes is what encoding the whole would be.
type historyWriter struct {
	c       *call
	body    bytes.Buffer // not sent yet
	encoder *json.Encoder
	out     io.Writer
	z       *gzip.Writer // nil: the client takes it as it is
	sending bool
	failed  error // the client does not take it

	tag     string
	open    bool // a series has begun
	samples bool // and has samples
}

func (h *historyWriter) begin(q api.HistoryQuery) error {
	h.encoder = json.NewEncoder(&h.body)
	h.encoder.SetEscapeHTML(false)
	return h.text(`{"from":`, q.From, `,"to":`, q.To, `,"series":[`)
}

// text writes texts as they are and everything else as JSON.
func (h *historyWriter) text(parts ...any) error {
	for _, p := range parts {
		if s, ok := p.(string); ok {
			h.body.WriteString(s)
			continue
		}
		if err := h.encoder.Encode(p); err != nil {
			return err
		}
		h.body.Truncate(h.body.Len() - 1) // the line's end
	}
	return nil
}

// piece takes samples in.
func (h *historyWriter) piece(s api.Series) error {
	if !h.open || h.tag != s.Tag {
		if err := h.series(s); err != nil {
			return err
		}
	}
	for rest := s.Samples; len(rest) > 0; {
		now := rest[:min(encodeAtOnce, len(rest))]
		rest = rest[len(now):]
		if h.samples {
			h.body.WriteByte(',')
		}
		h.samples = true
		from := h.body.Len()
		if err := h.text(now); err != nil {
			return err
		}
		list := h.body.Bytes()[from:] // [a,b,c]: without the brackets
		copy(list, list[1:len(list)-1])
		h.body.Truncate(h.body.Len() - 2)
		if err := h.send(); err != nil {
			return err
		}
	}
	return nil
}

// series begins the next one.
func (h *historyWriter) series(s api.Series) error {
	if h.open {
		h.body.WriteString("]},")
	}
	h.open, h.tag, h.samples = true, s.Tag, false
	s.Samples = []api.Sample{}
	if err := h.text(s); err != nil {
		return err
	}
	h.body.Truncate(h.body.Len() - len("]}"))
	return nil
}

// send sends what is collected when it is enough.
func (h *historyWriter) send() error {
	if h.body.Len() < sendFrom {
		return nil
	}
	if !h.sending {
		h.sending, h.out = true, h.c.w
		header := h.c.w.Header()
		setType(header, jsonType)
		if acceptsGzip(h.c.r) {
			header.Set("Content-Encoding", "gzip")
			h.z, h.failed = gzip.NewWriterLevel(h.c.w, gzip.BestSpeed)
			h.out = h.z
		}
		h.c.w.WriteHeader(http.StatusOK)
	}
	if h.failed == nil {
		_, h.failed = h.out.Write(h.body.Bytes())
	}
	h.body.Reset()
	return h.failed
}

// end completes the answer.
func (h *historyWriter) end(next string) error {
	if h.open {
		h.body.WriteString("]}")
	}
	h.body.WriteByte(']')
	if next != "" {
		if err := h.text(`,"next":`, json.RawMessage(`"`+next+`"`)); err != nil { // the letters of base64
			return err
		}
	}
	h.body.WriteString("}\n")
	if !h.sending {
		return sendBody(h.c.w, h.c.r, http.StatusOK, jsonType, h.body.Bytes())
	}
	_, h.failed = h.out.Write(h.body.Bytes())
	if h.failed == nil && h.z != nil {
		h.failed = h.z.Close()
	}
	return h.failed
}
