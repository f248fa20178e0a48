package uaserver

import (
	"strings"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"scada/web/uaserver/monitor"
	"scada/web/uaserver/space"
	"scada/web/uaserver/wire"
)

const (
	maxSelectClauses  = 100 // fields of an event a client may ask for
	maxFilterElements = 50  // elements of a where clause
	maxFilterOperands = 100 // operands of one element
	maxFieldPath      = 8   // names in the path of a field
)

// nullVariant is an encoded Variant without a value: a field the event does not have.
var nullVariant = []byte{0}

// eventFilter is a client's choice of events and fields.
type eventFilter struct {
	s      *Server
	prefix string // only events of tags whose names begin with it
	all    bool   // and those of no tag
	server bool   // and those of the server itself
	fields []string
	where  []filterElement
}

type filterElement struct {
	op       ua.FilterOperator
	operands []operand
}

// operand is a field of the event, a literal, or the result of a later element.
type operand struct {
	element int // 0: none; the first element is nobody's operand
	field   string
	isField bool
	literal *ua.Variant
}

// newEventFilter checks a filter for events of a node. The result says clause by clause what is wrong.
func (v *revision) newEventFilter(ref space.Ref, f *ua.EventFilter) (*eventFilter, *ua.EventFilterResult, ua.StatusCode) {
	result := &ua.EventFilterResult{
		SelectClauseResults: []ua.StatusCode{}, SelectClauseDiagnosticInfos: []*ua.DiagnosticInfo{},
		WhereClauseResult: &ua.ContentFilterResult{ElementResults: []*ua.ContentFilterElementResult{}, ElementDiagnosticInfos: []*ua.DiagnosticInfo{}},
	}
	prefix, all, ok := v.space.Notifies(ref)
	if !ok {
		return nil, result, ua.StatusBadNotSupported
	}
	out := &eventFilter{s: v.s, prefix: prefix, all: all, server: v.space.Numeric(ref) == id.Server}
	if n := len(f.SelectClauses); n == 0 || n > maxSelectClauses || len(f.WhereClause.Elements) > maxFilterElements {
		return nil, result, ua.StatusBadEventFilterInvalid
	}
	for _, c := range f.SelectClauses {
		name, status := v.fieldName(c)
		result.SelectClauseResults = append(result.SelectClauseResults, status)
		out.fields = append(out.fields, name)
	}
	for i, e := range f.WhereClause.Elements {
		checked, status := v.filterElement(i, len(f.WhereClause.Elements), e)
		if status != ua.StatusOK {
			result.WhereClauseResult.ElementResults = append(result.WhereClauseResult.ElementResults, &ua.ContentFilterElementResult{
				StatusCode: status, OperandStatusCodes: []ua.StatusCode{}, OperandDiagnosticInfos: []*ua.DiagnosticInfo{},
			})
			return nil, result, ua.StatusBadEventFilterInvalid
		}
		out.where = append(out.where, checked)
	}
	return out, result, ua.StatusOK
}

// noField is the name of a field no event has.
const noField = "/"

// fieldName returns the field an operand means. One that this server does not know is null in every event.
func (v *revision) fieldName(c *ua.SimpleAttributeOperand) (string, ua.StatusCode) {
	if ref, ok := v.space.Resolve(c.TypeDefinitionID); c.TypeDefinitionID.String() != "i=0" && (!ok || v.space.Class(ref) != ua.NodeClassObjectType) {
		return noField, ua.StatusBadTypeDefinitionInvalid
	}
	switch {
	case c.IndexRange != "":
		return noField, ua.StatusBadIndexRangeInvalid
	case len(c.BrowsePath) > maxFieldPath:
		return noField, ua.StatusBadBrowseNameInvalid
	case c.AttributeID == ua.AttributeIDNodeID && len(c.BrowsePath) == 0:
		return "", ua.StatusOK
	case c.AttributeID != ua.AttributeIDValue || len(c.BrowsePath) == 0:
		return noField, ua.StatusBadAttributeIDInvalid
	}
	names := make([]string, len(c.BrowsePath))
	for i, n := range c.BrowsePath {
		if n.NamespaceIndex != 0 || n.Name == "" {
			return noField, ua.StatusOK
		}
		names[i] = n.Name
	}
	return strings.Join(names, "/"), ua.StatusOK
}

// operandCounts gives the fewest and the most operands of the operators this server has.
var operandCounts = map[ua.FilterOperator][2]int{
	ua.FilterOperatorEquals: {2, 2}, ua.FilterOperatorIsNull: {1, 1}, ua.FilterOperatorGreaterThan: {2, 2}, ua.FilterOperatorLessThan: {2, 2},
	ua.FilterOperatorGreaterThanOrEqual: {2, 2}, ua.FilterOperatorLessThanOrEqual: {2, 2}, ua.FilterOperatorNot: {1, 1},
	ua.FilterOperatorBetween: {3, 3}, ua.FilterOperatorInList: {2, maxFilterOperands}, ua.FilterOperatorAnd: {2, 2}, ua.FilterOperatorOr: {2, 2},
	ua.FilterOperatorOfType: {1, 1},
}

func (v *revision) filterElement(at, count int, e *ua.ContentFilterElement) (filterElement, ua.StatusCode) {
	out := filterElement{op: e.FilterOperator}
	want, ok := operandCounts[e.FilterOperator]
	switch n := len(e.FilterOperands); {
	case !ok:
		return out, ua.StatusBadFilterOperatorUnsupported
	case n < want[0] || n > want[1]:
		return out, ua.StatusBadFilterOperandCountMismatch
	}
	for _, o := range e.FilterOperands {
		switch x := o.Value.(type) {
		case *ua.LiteralOperand:
			out.operands = append(out.operands, operand{literal: x.Value})
		case *ua.SimpleAttributeOperand:
			name, status := v.fieldName(x)
			if status != ua.StatusOK {
				return out, ua.StatusBadFilterOperandInvalid
			}
			out.operands = append(out.operands, operand{field: name, isField: true})
		case *ua.ElementOperand:
			if int64(x.Index) <= int64(at) || int64(x.Index) >= int64(count) { // only forwards: no circles
				return out, ua.StatusBadFilterOperandInvalid
			}
			out.operands = append(out.operands, operand{element: int(x.Index)})
		default:
			return out, ua.StatusBadFilterOperandInvalid
		}
	}
	return out, ua.StatusOK
}

// fieldsOf returns the fields of an event as they stand in a message, nil if the event does not pass.
func (f *eventFilter) fieldsOf(what any) []byte {
	ev, ok := what.(*event)
	if _, overflow := what.(monitor.Overflow); overflow {
		ev, ok = f.s.refreshEvent(queueOverflow), true
	}
	if !ok || !(ev.toAll || f.passes(ev)) {
		return nil
	}
	b := wire.Uint32(nil, uint32(len(f.fields)))
	for _, name := range f.fields {
		if v, ok := ev.encoded[name]; ok {
			b = append(b, v...)
		} else {
			b = append(b, nullVariant...)
		}
	}
	return b
}

func (f *eventFilter) passes(ev *event) bool {
	switch {
	case ev.ofServer && !f.server:
		return false
	case !f.all && (ev.tag == "" || !strings.HasPrefix(ev.tag, f.prefix)):
		return false
	}
	if len(f.where) == 0 {
		return true
	}
	// An element's operands are elements behind it: from the last to the first, each is evaluated once.
	results := make([]*ua.Variant, len(f.where))
	for i := len(f.where) - 1; i >= 0; i-- {
		results[i] = f.evaluate(&f.where[i], ev, results)
	}
	return truth(results[0]) == yes
}

func (f *eventFilter) evaluate(e *filterElement, ev *event, results []*ua.Variant) *ua.Variant {
	values := make([]*ua.Variant, len(e.operands))
	for i, o := range e.operands {
		switch {
		case o.isField:
			values[i] = ev.fields[o.field]
		case o.element > 0:
			values[i] = results[o.element]
		default:
			values[i] = o.literal
		}
	}
	if e.op == ua.FilterOperatorOfType {
		return f.ofType(ev, values[0]).variant()
	}
	return operate(e.op, values).variant()
}

func (f *eventFilter) ofType(ev *event, v *ua.Variant) tri {
	if v == nil || v.Type() != ua.TypeIDNodeID {
		return unknown
	}
	types := f.s.now().space
	ref, ok := types.Resolve(v.NodeID())
	return triOf(ok && types.IsSubtype(ev.typ, types.Numeric(ref)) && types.Numeric(ref) >= id.BaseEventType)
}
