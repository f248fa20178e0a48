// Package modbus holds our Modbus channel and our simulated controllers against Modbus programs of other makers:
// libmodbus through two small C programs, the server of pymodbus, and mbpoll. Its tests have the build tag e2e; make apt
// installs what they need.
package modbus
