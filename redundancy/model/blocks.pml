/*
 * The lease of a witness: two nodes and the cells both can read, by the rules of redundancy/witness/lease. Each node writes its
 * own block and its own mark, and reads both. Requests and answers are lost, late and out of order, a request that was given
 * up may still be carried out (once), nodes stand still, give the lease up and start anew, and the cells are wiped, at any
 * moment. Time is discrete: a tick is about an interval.
 *
 * Writes, marks and wipes are numbered and bounded, because no two writes may be alike: the search is complete up to that
 * many. What is left out: torn blocks, which say nothing, and the bias that keeps two from always claiming at once.
 *
 * The property is the assertion at the end of each step: never two that hold. Each -D below removes one rule, and the search
 * then has to find two: see model_test.go.
 */

#ifndef HOLD
#define HOLD 1 /* ticks a node holds after it has sent an answered write */
#endif
#ifndef TAKE
#define TAKE 2 /* ticks of standing still after which the other claims */
#endif
#ifndef WRITES
#define WRITES 2 /* of node 0 */
#endif
#ifndef OTHER
#define OTHER 1 /* writes of node 1 */
#endif
#ifndef MARKS
#define MARKS 1 /* of a node */
#endif
#ifndef WIPES
#define WIPES 0
#endif
#ifndef SLOTS
#define SLOTS 2 /* requests of a node under way */
#endif

#define READ 0
#define MARK 1
#define RENEW 2
#define CLAIM 3

typedef Cell { byte epoch; byte count; byte mark };

/* A request. One that was given up is an orphan: it is carried out and its answer is not heard. */
typedef Request { bit used; bit orphan; byte what; byte epoch; byte count; byte mark };

/* What the cells held after the request. */
typedef Picture { bit used; byte ownEpoch; byte ownCount; byte mark; byte peerEpoch; byte peerCount };

typedef Node {
	Request r[SLOTS];
	Picture answer;
	bit pending;
	byte what;      /* the request that is answered next */
	byte sent;      /* ticks since it was sent */
	byte count;     /* writes so far */
	byte mark;      /* marks so far */
	bit marked;
	byte epoch;     /* of the newest write */
	byte highest;   /* epoch known */
	byte lease;     /* ticks left */
	bit observed;   /* the peer's block was seen ... */
	byte seenEpoch;
	byte seenCount;
	byte still;     /* ... and stands still for so many ticks */
};

Cell c[2];
Node n[2];
byte wipes, j, i_, e_;

#ifdef REVIVE /* a lease that has ended is prolonged */
bit held[2];
#define HOLDING(i) (held[i])
#else
#define HOLDING(i) (n[i].lease > 0)
#endif

#ifdef SAME_WRITE /* a write that is repeated looks as before */
#define COUNT(i) (n[i].count > 0 -> 1 : 0)
#else
#define COUNT(i) n[i].count
#endif

inline clearRequest(i, k) {
	n[i].r[k].used = 0; n[i].r[k].orphan = 0; n[i].r[k].what = 0; n[i].r[k].epoch = 0; n[i].r[k].count = 0; n[i].r[k].mark = 0
}

inline clearAnswer(i) {
	n[i].answer.used = 0; n[i].answer.ownEpoch = 0; n[i].answer.ownCount = 0; n[i].answer.mark = 0;
	n[i].answer.peerEpoch = 0; n[i].answer.peerCount = 0
}

inline idle(i) {
	n[i].pending = 0; n[i].what = 0; n[i].sent = 0; clearAnswer(i)
}

/* send puts the request on its way. Slots are alike; the last must be free. */
inline send(i, does) {
	n[i].pending = 1; n[i].what = does; n[i].sent = 0;
	j = (n[i].r[0].used -> SLOTS - 1 : 0);
	n[i].r[j].used = 1; n[i].r[j].what = does;
	if
	:: does == MARK -> n[i].mark++; n[i].r[j].mark = n[i].mark
	:: does == RENEW || does == CLAIM -> n[i].count++; n[i].r[j].epoch = n[i].epoch; n[i].r[j].count = COUNT(i)
	:: else
	fi;
	j = 0
}

#define DUE(i) (!n[i].pending && !(n[i].r[0].used && n[i].r[SLOTS - 1].used))
#define MAY_CLAIM(i) (n[i].observed && n[i].still >= TAKE)

inline claim(i) {
	/* above all that are known, odd for node 0 and even for node 1 */
	e_ = n[i].highest + 1;
	e_ = (e_ % 2 == i -> e_ + 1 : e_);
	n[i].highest = e_; n[i].epoch = e_; e_ = 0;
	send(i, CLAIM)
}

/* carried is the moment at which the cells are written and read. */
inline carried(i, k) {
	if
	:: n[i].r[k].what == MARK -> c[i].mark = n[i].r[k].mark
	:: n[i].r[k].what == RENEW || n[i].r[k].what == CLAIM -> c[i].epoch = n[i].r[k].epoch; c[i].count = n[i].r[k].count
	:: else
	fi;
	if
	:: !n[i].r[k].orphan ->
		n[i].answer.used = 1; n[i].answer.ownEpoch = c[i].epoch; n[i].answer.ownCount = c[i].count; n[i].answer.mark = c[i].mark;
		n[i].answer.peerEpoch = c[1 - i].epoch; n[i].answer.peerCount = c[1 - i].count
	:: else
	fi;
	clearRequest(i, k)
}

inline failed(i) {
	idle(i);
	n[i].r[0].orphan = n[i].r[0].used;
	n[i].r[SLOTS - 1].orphan = n[i].r[SLOTS - 1].used
}

#define HIGHER(a) n[i].highest = (a > n[i].highest -> a : n[i].highest)

inline drop(i) {
	n[i].lease = 0
#ifdef REVIVE
	; held[i] = 0
#endif
}

#ifdef NO_MARK /* wiped cells look as they are */
#define WIPED(i) false
#else
#define WIPED(i) (n[i].answer.mark != n[i].mark)
#endif

inline answered(i) {
	HIGHER(n[i].answer.ownEpoch);
	HIGHER(n[i].answer.peerEpoch);
	if
	:: WIPED(i) -> n[i].marked = 0; n[i].observed = 0; n[i].still = 0; n[i].seenEpoch = 0; n[i].seenCount = 0; drop(i)
	:: else ->
		n[i].observed = (n[i].marked && n[i].observed); n[i].marked = 1;
		if
		:: n[i].observed && n[i].answer.peerEpoch == n[i].seenEpoch && n[i].answer.peerCount == n[i].seenCount -> conclude(i, 1)
		:: else ->
			n[i].seenEpoch = n[i].answer.peerEpoch; n[i].seenCount = n[i].answer.peerCount; n[i].observed = 1; n[i].still = 0;
			conclude(i, 0)
		fi
	fi;
	idle(i)
}

#define OWN(i) (n[i].answer.ownEpoch == n[i].epoch && n[i].answer.ownCount == COUNT(i))

#ifdef FROM_RECEIPT /* the lease runs from the answer's receipt */
#define SENT 0
#else
#define SENT n[i].sent
#endif

inline conclude(i, unchanged) {
	if
	:: n[i].answer.peerEpoch > n[i].epoch -> drop(i)
	:: else ->
		if
		:: n[i].what == CLAIM && unchanged && OWN(i) && SENT < HOLD ->
			n[i].lease = HOLD - SENT
#ifdef REVIVE
			; held[i] = 1
#endif
		:: n[i].what == RENEW && HOLDING(i) && OWN(i) && SENT < HOLD -> n[i].lease = HOLD - SENT
		:: else
		fi
	fi
}

inline tick() {
	i_ = 0;
	do
	:: i_ < 2 ->
		n[i_].lease = (n[i_].lease > 0 -> n[i_].lease - 1 : 0);
		n[i_].still = (n[i_].observed && n[i_].still < TAKE -> n[i_].still + 1 : n[i_].still);
		n[i_].sent = (n[i_].pending && n[i_].sent < HOLD -> n[i_].sent + 1 : n[i_].sent);
		i_++
	:: else -> break
	od;
	i_ = 0
}

/* restart is a new process: it knows nothing, and its marks and writes are none of the earlier ones. */
inline restart(i) {
	failed(i); drop(i);
	n[i].marked = 0; n[i].epoch = 0; n[i].highest = 0; n[i].observed = 0; n[i].seenEpoch = 0; n[i].seenCount = 0; n[i].still = 0
}

inline wipe() {
	wipes++;
	c[0].epoch = 0; c[0].count = 0; c[0].mark = 0; c[1].epoch = 0; c[1].count = 0; c[1].mark = 0
}

/* step is what may happen to node i at any moment; a node that does nothing stands still. */
inline step(i) {
	if
	:: DUE(i) && !n[i].marked && n[i].mark < MARKS -> send(i, MARK)
	:: DUE(i) && n[i].marked && HOLDING(i) && n[i].count < (i == 0 -> WRITES : OTHER) -> send(i, RENEW)
	:: DUE(i) && n[i].marked && !HOLDING(i) && MAY_CLAIM(i) && n[i].count < (i == 0 -> WRITES : OTHER) -> claim(i)
	:: DUE(i) && n[i].marked && !HOLDING(i) && !MAY_CLAIM(i) -> send(i, READ)
	:: n[i].r[0].used -> carried(i, 0)
	:: n[i].r[SLOTS - 1].used && SLOTS > 1 -> carried(i, SLOTS - 1)
	:: n[i].r[0].used && n[i].r[0].orphan -> clearRequest(i, 0) /* lost */
	:: n[i].answer.used -> answered(i)
	:: n[i].pending -> failed(i)
	:: HOLDING(i) -> drop(i) /* the lease is not wanted any more */
	:: n[i].marked && n[i].mark < MARKS -> restart(i)
	fi
}

init {
	do
	:: atomic { step(0); assert(!(n[0].lease > 0 && n[1].lease > 0)) }
	:: atomic { step(1); assert(!(n[0].lease > 0 && n[1].lease > 0)) }
	:: d_step { tick() }
	:: d_step { wipes < WIPES -> wipe() }
	od
}
