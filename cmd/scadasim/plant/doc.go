// Package plant runs a simulated plant: the process model, the Modbus and OPC UA devices that show it, and a control
// port where faults are injected and the ground truth is read.
package plant
