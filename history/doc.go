// Package history records every sample of a node and answers questions about the past.
//
// A sample goes into the head (memory) and the write-ahead journal (wal/*.log) at once; the journal is written and
// synced in groups. When a ten-minute window of UTC is over, its samples become one compressed block per tag
// (history/block) and go into the file of their day (p/YYYYMMDD.l0.db, bbolt) in one transaction, which also notes how
// far the journal is now contained in the file: replaying it after a crash is idempotent. A day that is over is sealed: its
// files make way, at once, for a smaller one in order of tags (p/YYYYMMDD.l1.db). Retention unlinks whole days.
//
// The content of an archive is a set: writing a sample that is already there changes nothing, and nothing is ever
// overwritten. Two archives with the same samples have the same [Digest], whatever the order they came in. The files
// are described in FORMAT.md.
package history
