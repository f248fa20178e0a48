package uaserver

import (
	"context"
	"net"
)

type addressKey struct{}

// ClientAddress returns the address, without the port, of the client a [Backend] is asked for in a log-in.
func ClientAddress(ctx context.Context) string {
	host, _ := ctx.Value(addressKey{}).(string)
	return host
}

// address is the client's address without the port.
func (c *conn) address() string { return c.host }

// hostOf returns the address of the other end of a connection without the port.
func hostOf(nc net.Conn) string {
	whole := nc.RemoteAddr().String()
	host, _, err := net.SplitHostPort(whole)
	if err != nil {
		return whole
	}
	return host
}

// logInContext bounds a log-in and tells the backend from where it comes: attempts are counted by address.
func (k *call) logInContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(context.Background(), addressKey{}, k.c.address()), logInTime)
}
