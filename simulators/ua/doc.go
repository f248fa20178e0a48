// Package ua simulates an OPC UA device: the product's own OPC UA server over the values of a [Process], on a listener
// that can be disturbed.
//
// Points are found as ns=2;s=<name>, in one folder. The device takes anonymous clients that read and write, and those
// who log in with one of its users; with a certificate directory it offers the secure policies beside None.
package ua
