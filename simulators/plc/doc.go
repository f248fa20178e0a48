// Package plc is a Modbus server that stands in for the plant's controllers: in the demo, and in tests that must know
// what was really asked of a device.
//
// It speaks Modbus TCP, RTU framing over TCP, or RTU on a pseudo terminal, holds several units behind one address as a gateway does, and can be
// told to misbehave in every way a controller or the network before it does ([Fault]). What it was asked, by whom and
// when stands in a [Journal]: the ground truth by which a test judges who polled a device, and whether two did at once.
//
// Every byte of the protocol is written here: the faults lie below what a server library would let us touch.
package plc
