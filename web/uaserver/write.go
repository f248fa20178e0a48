package uaserver

import (
	"context"
	"time"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
	"scada/web/uaserver/space"
)

const (
	writeTime    = 30 * time.Second // one Write request, unless the client said less
	minWriteTime = time.Second
)

// pendingWrite is one value of a Write request that passed the checks.
type pendingWrite struct {
	index int
	def   tag.Definition
	value tag.Value
}

// write is the Write service: what can be refused is refused at once, the rest goes to the backend one after the other.
func (k *call) write(req *ua.WriteRequest) error {
	if err := k.operations(len(req.NodesToWrite)); err != nil {
		return err
	}
	results := make([]ua.StatusCode, len(req.NodesToWrite))
	var pending []pendingWrite
	for i, w := range req.NodesToWrite {
		id, value, status := k.checkWrite(w)
		if results[i] = status; status == ua.StatusOK {
			pending = append(pending, pendingWrite{i, *k.rev.space.Definition(id), value})
		}
	}
	resp := &ua.WriteResponse{Results: results, DiagnosticInfos: []*ua.DiagnosticInfo{}}
	if len(pending) == 0 {
		return k.answer(resp, nil)
	}
	user := k.user
	return k.later(func(ctx context.Context) (ua.Response, error) {
		ctx, cancel := context.WithTimeout(ctx, k.timeLimit())
		defer cancel()
		for _, p := range pending {
			err := k.s.backend.Write(ctx, user, p.def, p.value)
			if results[p.index] = statusOf(err); err != nil {
				k.s.log.Info("OPC UA write refused", "tag", p.def.Name, "user", user.Name, "error", err)
			}
		}
		return resp, nil
	})
}

// timeLimit is how long the client waits for an answer.
func (k *call) timeLimit() time.Duration {
	if k.h.Timeout == 0 {
		return writeTime
	}
	return min(max(time.Duration(k.h.Timeout)*time.Millisecond, minWriteTime), writeTime)
}

// checkWrite checks one value without asking the backend.
func (k *call) checkWrite(w *ua.WriteValue) (tag.ID, tag.Value, ua.StatusCode) {
	ref, ok := k.rev.space.Resolve(w.NodeID)
	if !ok {
		return 0, tag.Value{}, ua.StatusBadNodeIDUnknown
	}
	t, isTag := k.rev.space.Tag(ref)
	if !isTag || w.AttributeID != ua.AttributeIDValue {
		if _, status := k.rev.space.Attribute(ref, w.AttributeID, false); status == ua.StatusBadAttributeIDInvalid {
			return 0, tag.Value{}, status
		}
		return 0, tag.Value{}, ua.StatusBadNotWritable
	}
	def := k.rev.space.Definition(t)
	switch {
	case !def.Writable:
		return 0, tag.Value{}, ua.StatusBadNotWritable
	case !k.user.MayWrite:
		return 0, tag.Value{}, ua.StatusBadUserAccessDenied
	case w.IndexRange != "", w.Value.Status != ua.StatusOK:
		return 0, tag.Value{}, ua.StatusBadWriteNotSupported
	}
	v, status := fromVariant(w.Value.Value, def.Type)
	return t, v, status
}

// fromVariant converts a client's value to a tag's type. It must be of that type: a server that guessed would one day
// guess wrong.
func fromVariant(v *ua.Variant, t tag.Type) (tag.Value, ua.StatusCode) {
	if v == nil || v.Type() != space.DataType(t) || v.Has(ua.VariantArrayValues) {
		return tag.Value{}, ua.StatusBadTypeMismatch
	}
	switch {
	case t == tag.TypeBool:
		return tag.Bool(v.Bool()), ua.StatusOK
	case t.IsSigned():
		return tag.Int(t, v.Int()), ua.StatusOK
	case t.IsInteger():
		return tag.Uint(t, v.Uint()), ua.StatusOK
	case t.IsFloat() && !finite(v.Float()):
		return tag.Value{}, ua.StatusBadOutOfRange
	case t == tag.TypeFloat32:
		return tag.Float32(float32(v.Float())), ua.StatusOK
	case t == tag.TypeFloat64:
		return tag.Float64(v.Float()), ua.StatusOK
	case t == tag.TypeString && len(v.String()) <= tag.MaxText:
		return tag.String(v.String()), ua.StatusOK
	}
	return tag.Value{}, ua.StatusBadOutOfRange
}
