package api

import (
	"fmt"
	"net/http"
)

// Problem is an error of the server after RFC 9457. It is also what the server's parts return to have a request
// refused with a reason.
type Problem struct {
	Type   string `json:"type"` // always about:blank; Code tells them apart
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// The codes of problems.
const (
	CodeBadRequest   = "bad_request"
	CodeUnauthorized = "unauthorized"
	CodeForbidden    = "forbidden"
	CodePasswordDue  = "password_due" // the password must be changed before anything else
	CodeNotFound     = "not_found"
	CodeTooLarge     = "too_large"
	CodeConflict     = "conflict" // the request is in order, the state of things is not
	CodeTooMany      = "too_many"
	CodeInternal     = "internal"
	CodeUnavailable  = "unavailable"

	CodeNotActive   = "not_active"   // no node is active in the area, or the active one cannot be reached
	CodeNotReady    = "not_ready"    // the other node cannot take over; the detail says why
	CodeNoLease     = "no_lease"     // active, but not sure enough to write
	CodeNotWritable = "not_writable" // the tag is read-only
	CodeBadValue    = "bad_value"    // the tag cannot hold the value, or it is out of range
	CodeLate        = "late"         // the deadline has passed
	CodeRepeated    = "repeated"     // the nonce was seen
	CodeWrongEpoch  = "wrong_epoch"  // the area has another epoch than the operator saw
	CodeRoleChanged = "role_changed" // the node has another role than expected
	CodeDevice      = "device"       // the device refused or did not answer
)

var statusOf = map[string]int{
	CodeBadRequest: http.StatusBadRequest, CodeUnauthorized: http.StatusUnauthorized, CodeForbidden: http.StatusForbidden, CodePasswordDue: http.StatusForbidden,
	CodeNotFound: http.StatusNotFound, CodeTooLarge: http.StatusRequestEntityTooLarge, CodeTooMany: http.StatusTooManyRequests,
	CodeInternal: http.StatusInternalServerError, CodeUnavailable: http.StatusServiceUnavailable,
	CodeBadValue: http.StatusUnprocessableEntity, CodeDevice: http.StatusBadGateway,
}

// NewProblem returns the problem with the given code; a code without a status of its own is a conflict (409).
func NewProblem(code, format string, args ...any) *Problem {
	status, ok := statusOf[code]
	if !ok {
		status = http.StatusConflict
	}
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Error returns the sentence for people.
func (p *Problem) Error() string {
	switch {
	case p.Detail != "":
		return p.Code + ": " + p.Detail
	case p.Code != "":
		return p.Code
	}
	return fmt.Sprintf("%d %s", p.Status, p.Title)
}

// Refused reports whether the server understood and would not: permission, role, readiness, deadline.
func (p *Problem) Refused() bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return false
}
