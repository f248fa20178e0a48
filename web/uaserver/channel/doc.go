// Package channel is the transport under an OPC UA server: HELLO and ACKNOWLEDGE, the secure channel with its renewed
// keys, chunks both ways, and the limits on all of it (OPC 10000-6).
//
// A [Conn] is one connection. One goroutine reads requests from it; any goroutine may send on it. Sending never
// blocks: a client that does not take its answers fills a bounded queue and loses its connection, and nothing else.
package channel
