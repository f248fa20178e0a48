// Package opcua holds our OPC UA client against a device that is an OPC UA server of another maker, node-opcua: dropped
// and frozen connections, restarts, another certificate, ten thousand items. Its tests have the build tag e2e.
package opcua
