// Package alarms decides what is an alarm: a pure engine after ISA-18.2 for both nodes of the pair.
//
// The engine takes samples, timers, commands and the time, and returns an [Outcome]: the events for the journal and the
// images of the conditions that changed. The active node evaluates; the standby is told, through [Engine.Observe] and
// [Engine.Apply], and after every record holds the same image, byte for byte. All timers are absolute instants inside
// that image, so a take-over has nothing to reconstruct: every tag becomes blind, every condition is held as it is, and
// the first usable sample from the new active goes on where the old one ended.
//
// A condition is identified by its configured id, an occurrence by id, term and number. The key of an event is a hash
// over its identity and the same on both nodes; recording an event twice is recording it once.
//
// The package reads no clock: `now` is an argument, UTC nanoseconds. Calls of one engine must not overlap.
package alarms
