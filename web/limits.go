package web

import "time"

// Limits of HTTP.
const (
	maxBody         = 64 << 10         // bytes of a request
	maxHeader       = 16 << 10         // bytes of all header fields
	headerTimeout   = 5 * time.Second  // to read the header
	readTimeout     = 15 * time.Second // to read a whole request
	writeTimeout    = 60 * time.Second // to write an answer
	idleTimeout     = 60 * time.Second // between requests of a connection
	stopTimeout     = 2 * time.Second  // for requests in flight when the server stops
	maxPage         = 10_000           // rows of a list
	defaultPage     = 1_000            // rows of a list when the client does not say
	maxHistoryTags  = 64               // tags of a history request
	maxHistoryRows  = 100_000          // samples of a tag in a raw answer
	maxPoints       = 10_000           // samples of a tag in a reduced answer
	maxIntervals    = 100_000          // intervals of an aggregate
	maxAlarmRefs    = 1_000            // alarms of one command
	maxText         = 1_000            // bytes of a reason, comment or search text
	maxGlob         = 256              // bytes of a pattern
	maxShelve       = 30 * 24 * 3600   // seconds an alarm may be shelved at once
	maxWriteAhead   = 30 * time.Second // deadline of a write ahead of now
	defaultDeadline = 5 * time.Second  // of a write without one
	answerGrace     = 5 * time.Second  // after the deadline for the outcome of a write to come in
	minNonce        = 16               // bytes
	maxNonce        = 64               // bytes
	maxNonces       = 16 << 10         // nonces remembered
	writesPerSecond = 10               // of a user
	writeBurst      = 20               // of a user
	maxLimited      = 4 << 10          // users or addresses whose rates are kept
)

// Limits of log-in and sessions.
const (
	sessionLife       = 12 * time.Hour
	maxSessions       = 1_000
	maxUserSessions   = 20
	maxEnded          = 4_000 // ended sessions remembered
	ticketLife        = 10 * time.Minute
	ticketSkew        = time.Minute // the other node's clock may be ahead by
	maxTicket         = 1 << 10     // bytes
	loginsPerMinute   = 10          // of an address, right or wrong
	loginBurst        = 10
	lockAfter         = 5 // wrong passwords of a user from an address in a row
	lockTime          = 15 * time.Minute
	siegeAfter        = 50 // wrong passwords of a user from all addresses within
	siegeTime         = 15 * time.Minute
	knownAddresses    = 32 // of a user
	knownLife         = 30 * 24 * time.Hour
	passwordQueueTime = 3 * time.Second // to wait for the one password check at a time
	maxUserName       = 64              // bytes
)

// Limits of the socket. PROTOCOL.md repeats them for those who write clients.
const (
	maxControl       = 64 << 10 // bytes of a control message
	controlPerSecond = 20
	controlBurst     = 40
	acksPerSecond    = 200
	ackBurst         = 400
	maxSubscriptions = 64      // of a connection
	maxSubNames      = 10_000  // names in one sub
	maxHandles       = 200_000 // of a connection, over all subscriptions
	maxConnections   = 500     // of the server
	maxUserConns     = 20      // of a user
	maxFrameValues   = 16_384
	maxFrameText     = 256 << 10 // bytes of text in a frame
	maxInFlight      = 2         // data frames not acknowledged
	maxOutbox        = 256       // answers queued
	maxTopicItems    = 500       // of one topic message
	maxCommands      = 4         // of a connection at the same time
	sendBuffer       = 64 << 10  // bytes of the kernel's buffer: values wait here coalesced, not there stale
	readBuffer       = 1 << 10   // bytes; most messages of clients are short
	minPeriod        = 50 * time.Millisecond
	defaultPeriod    = 100 * time.Millisecond
	burstFrames      = 3                     // in a row, without their periods between them, of a subscription with the default period or less
	burstGap         = 15 * time.Millisecond // between those
	maxPeriod        = time.Minute
	helloTime        = 3 * time.Second
	heartbeat        = time.Second
	pingPeriod       = 15 * time.Second
	silence          = 45 * time.Second // of the client
	stuckTime        = 10 * time.Second // one write to the client
	watchPeriod      = 200 * time.Millisecond
	devicePeriod     = time.Second
	closeTime        = time.Second
)
