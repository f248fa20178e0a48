// Package process is a waterworks in small: river intake, treatment, four wells, a mixing skid and a pressure network
// that draws on them. It gives the simulated devices something to measure that behaves as water and motors do.
//
// The plant advances in fixed steps and reads no clock: its state is a function of the seed, the number of steps, and
// the set-points written meanwhile. Two plants with the same seed and the same writes have the same values, so a test
// can compute what a device must have shown at any instant.
package process
