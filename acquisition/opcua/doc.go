// Package opcua is the driver for devices that are OPC UA servers: one session per device, values by subscription (or
// by polling, as the device is set), writes read back.
//
// The client library speaks the protocol; staying connected is our own work. Its built-in reconnection leaves
// subscriptions silently dead after a dropped or frozen connection, so it is switched off, and a supervisor here reads
// the server's clock at a short interval: a read that fails or takes too long ends the session, and a new one is made
// from nothing.
package opcua
