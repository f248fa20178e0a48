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
func (c *conn) address() string {
	host, _, err := net.SplitHostPort(c.nc.RemoteAddr().String())
	if err != nil {
		return c.nc.RemoteAddr().String()
	}
	return host
}

// logInContext bounds a log-in and tells the backend from where it comes: attempts are counted by address.
func (k *call) logInContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(context.Background(), addressKey{}, k.c.address()), logInTime)
}
