// Package export sends what the archive holds to another engine by Prometheus remote write 1.0, and knows what the engine
// has of it.
//
// There is no queue beside the archive: the archive is the queue. A [State] names, for each window of it, the digest it
// had when it was sent. A window that has another digest now is to be sent, whether its samples are new, came late, were
// back-filled from the peer or imported; digests are the same on both nodes of a pair, and so is what a State means. The
// windows that are not over for a while are sent as they grow, up to State.Time, and looked at again when they are over.
//
// Everything is sent at least once. An engine that says yes before it is durable loses its last seconds when it is
// killed, so what was sent counts only a while later (the horizon), and when the connection was lost in between it is
// sent again. A sample sent twice is the same sample: its time in milliseconds and its value follow from the archive.
//
// [Target.Run] sends until its context ends. What it can't get rid of it keeps: it tries again, and only a sample the
// engine calls wrong is parked, that is, counted, remembered and left out.
package export
