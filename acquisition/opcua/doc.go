// Package opcua is the driver for devices that are OPC UA servers: one session per device, values by subscription (or
// by polling, as the device is set), writes read back.
//
// The client library speaks the protocol; staying connected is our own work. Its built-in reconnection leaves
// subscriptions silently dead after a dropped or frozen connection, so it is switched off, and a supervisor here reads
// the server's clock at a short interval: a read that fails or takes too long ends the connection. On the next one the
// session is taken up again if the server has kept it, everything is read, and what no subscription speaks for is read
// on: a value never waits for a server to make its items.
package opcua
