// Package block is the codec of a block: the samples of one tag in one stretch of time, compressed without loss, with
// a summary in front and a checksum behind. FORMAT.md describes the bytes.
//
// The gain comes from what the server knows of its tags: a number that came off the wire as an integer and was scaled
// linearly is stored as that integer, after checking bit for bit that scaling it again gives the same value. Encoding
// is deterministic: equal samples give equal bytes.
package block
