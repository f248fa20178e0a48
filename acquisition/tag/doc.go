// Package tag is the floor of the house: the words every other package speaks in.
//
// A tag is one process variable of the plant. Its [Definition] comes from the configuration and is the same on both
// nodes of the pair; its [Sample] is a value with the time it was true and the quality it had. Quality travels inside
// the sample: a value whose quality is kept somewhere else gets used without it.
//
// The package uses the standard library only, holds no state, and reads no clock.
package tag
