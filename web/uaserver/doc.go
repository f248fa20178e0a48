// Package uaserver is the OPC UA server through which clients read, write and subscribe to the plant's tags.
//
// It is built on the codecs of gopcua (structures, security policies) with a transport, secure conversation, session,
// address space and subscription engine of its own: every byte of a client is bounded before it is decoded, a client
// that stops reading or sends garbage ends only its own connection, and one goroutine serves all subscriptions.
//
// The sub-packages, from the wire upwards: guard (refuses messages the codec cannot survive), wire (the codec of the
// few messages that carry thousands of values), channel (secure conversation of one connection), space (the address
// space), monitor (subscriptions and monitored items). This package holds the sessions and the services.
package uaserver
