// Package e2e tests the programs as a user runs them: real processes on loopback, real signals, a real browser, OPC UA
// and Modbus clients of other makers. Its tests have the build tag e2e; make e2e installs what they need.
package e2e
