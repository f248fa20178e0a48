// Package api is the HTTP interface of a node as Go types, and a client for it.
//
// The JSON names are fixed: scripts, tests and the dashboard use them. Times are RFC 3339 in UTC with nanoseconds where
// known, qualities are OPC UA status names, and a number with a unit carries the unit in its field name.
package api
