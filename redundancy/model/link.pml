/*
 * The lease of the link: two nodes, and the rules of redundancy/role by which one of them may write. Messages are lost, late,
 * out of order and repeated; processes stand still, die, leave in order and come back, at any moment. Time is discrete: a
 * tick is about a heartbeat, and it passes whether a process does something or not.
 *
 * What is left out: epochs and the choice between two actives (an active that hears another may give way or not), planned
 * switches, witnesses and operators.
 *
 * The property is the assertion at the end of each step: never two that may write. Each -D below removes one rule, and the
 * search then has to find two: see model_test.go.
 */

#ifndef TAKE
#define TAKE 2 /* ticks of silence after which a standby takes over */
#endif
#ifndef LEASE
#define LEASE 1 /* ticks an active may write after it has sent an echoed answer */
#endif
#ifndef SLOTS
#define SLOTS 1 /* messages under way in each direction */
#endif
#ifndef LIVES
#define LIVES 1 /* processes of node 0, one after the other; node 1 has one */
#endif

#define OLD TAKE        /* ages count up to here */
#define NEVER (OLD + 1) /* of what did not happen */

/* A message: a request, an answer, or a goodbye. Ages are ticks since the answer in question was sent. */
typedef Message {
	bit used;
	bit answer;
	bit goodbye;
	bit acts;      /* the sender is active */
	bit late;      /* a newer one was received before */
	byte life;     /* of the sender: which of its processes */
	byte to;       /* the receiver's process it is meant for */
	byte age;      /* since it was sent */
	byte echo;     /* of the newest answer the sender had received, or NEVER */
};

typedef Way { Message m[SLOTS] }; /* the oldest first */

typedef Node {
	bit up;
	bit acts;
	bit solo;      /* may write without a lease */
	byte lease;    /* ticks left */
	byte silence;  /* ticks since an answer, or since the role began */
	byte stint;    /* ticks since the role began */
	bit heir;      /* the newest answer in this stint came from an active */
	bit known;     /* the peer has echoed an answer of this role */
	byte newest;   /* age of the newest answer received, or NEVER */
	byte life;
	byte peer;     /* the newest process of the peer that was heard, 0 for none */
	bit peerActs;
};

Node n[2];
Way w[2]; /* w[i] leads to node i */

#ifdef NO_LEASE /* the lease is not checked */
#define MAY(i) (n[i].up && n[i].acts)
#else
#define MAY(i) (n[i].up && n[i].acts && (n[i].solo || n[i].lease > 0))
#endif

#ifdef ACTING_ECHO /* also of a peer that acts itself */
#define ECHO_COUNTS 1
#else
#define ECHO_COUNTS !x.acts
#endif

#ifdef FROM_RECEIPT /* the lease runs from the echo's arrival, however old that is */
#define ECHO_LIMIT NEVER
#else
#define ECHO_LIMIT LEASE
#endif

#define FULL(i) w[i].m[SLOTS - 1].used

inline clear(x) {
	x.used = 0; x.answer = 0; x.goodbye = 0; x.acts = 0; x.late = 0; x.life = 0; x.to = 0; x.age = 0; x.echo = 0
}

inline copy(to_, from_) {
	to_.used = from_.used; to_.answer = from_.answer; to_.goodbye = from_.goodbye; to_.acts = from_.acts;
	to_.late = from_.late; to_.life = from_.life; to_.to = from_.to; to_.age = from_.age; to_.echo = from_.echo
}

/* remove takes message k off the way to node i and closes the gap. */
inline remove(i, k) {
	j = k;
	do
	:: j < SLOTS - 1 -> copy(w[i].m[j], w[i].m[j + 1]); j++
	:: else -> break
	od;
	clear(w[i].m[SLOTS - 1]);
	j = 0
}

/* send puts a message of node i on its way. With no room the network has lost it. */
inline send(i, answers, leaves) {
	j = 0;
	do
	:: j < SLOTS && w[1 - i].m[j].used -> j++
	:: else -> break
	od;
	if
	:: j < SLOTS ->
		w[1 - i].m[j].used = 1; w[1 - i].m[j].answer = answers; w[1 - i].m[j].goodbye = leaves;
		w[1 - i].m[j].acts = n[i].acts; w[1 - i].m[j].life = n[i].life; w[1 - i].m[j].to = n[i].peer;
		w[1 - i].m[j].echo = (leaves -> 0 : n[i].newest)
	:: else
	fi;
	j = 0
}

/* enter begins a role. */
inline enter(i, acting, alone) {
	n[i].acts = acting; n[i].solo = alone; n[i].lease = 0; n[i].heir = 0; n[i].silence = 0; n[i].stint = 0; n[i].known = 0
}

/* take is the end of a silence. */
inline take(i) {
#ifdef ANY_HEIR /* whoever takes over may write */
	enter(i, 1, 1)
#else
#ifdef TWO_HEIRS /* also before the peer has echoed an answer of this stint */
	enter(i, 1, n[i].heir)
#else
	enter(i, 1, (n[i].heir && n[i].known))
#endif
#endif
}

inline receive(i, k) {
	copy(x, w[i].m[k]);
	if
	:: remove(i, k)
	:: w[i].m[k].late = 1 /* it comes once more */
	fi;
	/* What was sent before it is late now. */
	j = 0;
	do
	:: j < k -> w[i].m[j].late = 1; j++
	:: else -> break
	od;
	j = 0;
	if
	:: x.goodbye -> leave(i)
	:: else -> hear(i)
	fi;
	clear(x)
}

inline leave(i) {
	if
	:: x.life == n[i].peer ->
		if
		:: n[i].acts -> n[i].solo = 1; n[i].peerActs = 0
		:: else -> enter(i, 1, 1); n[i].peerActs = 0
		fi
	:: else
	fi
}

inline hear(i) {
#ifdef FORMER /* an answer counts that was given to an earlier process */
#else
	if
	:: x.answer && x.to != n[i].life -> x.answer = 0; x.echo = NEVER
	:: else
	fi;
#endif
	if
	:: x.to != n[i].life -> x.echo = NEVER
	:: else
	fi;
	if
	:: x.life < n[i].peer -> skip /* the words of the dead */
	:: x.life >= n[i].peer ->
		if
		:: x.life > n[i].peer -> newPeer(i)
		:: else
		fi;
		if
		:: x.late && x.life == n[i].peer ->
			if
			:: x.answer -> n[i].silence = 0; n[i].heir = (n[i].heir || (x.acts && n[i].peerActs)); note(i)
			:: else
			fi
		:: else ->
			n[i].peerActs = x.acts;
			if
			:: x.answer -> n[i].silence = 0; n[i].heir = x.acts; note(i)
			:: else
			fi;
			if
			:: x.echo < n[i].stint -> n[i].known = 1
			:: else
			fi;
			renew(i);
			if
			:: n[i].acts && x.acts -> enter(i, 0, 0)
			:: true
			fi
		fi;
		if
		:: n[i].acts -> n[i].heir = 0; n[i].known = 0; n[i].silence = 0 /* mean nothing */
		:: else
		fi
	fi
}

/* note takes the answer for the newest, if it is. */
inline note(i) {
	if
	:: x.age < n[i].newest -> n[i].newest = x.age
	:: else
	fi
}

inline newPeer(i) {
	if
	:: n[i].peer > 0 && n[i].heir && !n[i].acts && !x.acts -> enter(i, 1, 1) /* the process that was active is dead */
	:: else
	fi;
	n[i].peer = x.life; n[i].newest = NEVER; n[i].heir = 0; n[i].known = 0; x.late = 0
}

/* renew runs the lease from the sending of an answer of this term that the peer has. */
inline renew(i) {
	if
	:: n[i].acts && x.echo < n[i].stint && ECHO_COUNTS && x.echo < ECHO_LIMIT ->
#ifdef FROM_RECEIPT
		n[i].lease = LEASE
#else
		if
		:: LEASE - x.echo > n[i].lease -> n[i].lease = LEASE - x.echo
		:: else
		fi
#endif
	:: else
	fi
}

/* answering turns a right that was held alone into a lease. */
inline answering(i) {
#ifndef KEEP_SOLO
	if
	:: n[i].acts && n[i].solo -> n[i].solo = 0; n[i].lease = LEASE
	:: else
	fi;
#endif
	send(i, 1, 0)
}

#define OLDER(a, most) a = (a < most -> a + 1 : a)

inline tick() {
	i_ = 0;
	do
	:: i_ < 2 ->
		n[i_].lease = (n[i_].lease > 0 -> n[i_].lease - 1 : 0);
		if
		:: n[i_].up && !n[i_].acts -> OLDER(n[i_].silence, TAKE)
		:: else
		fi;
		if
		:: n[i_].up -> OLDER(n[i_].stint, OLD); OLDER(n[i_].newest, OLD)
		:: else
		fi;
		j = 0;
		do
		:: j < SLOTS ->
			if
			:: w[i_].m[j].used && !w[i_].m[j].goodbye -> OLDER(w[i_].m[j].echo, OLD);
				w[i_].m[j].age = (w[i_].m[j].answer && w[i_].m[j].age < OLD -> w[i_].m[j].age + 1 : w[i_].m[j].age)
			:: else
			fi;
			j++
		:: else -> break
		od;
		i_++
	:: else -> break
	od;
	i_ = 0; j = 0
}

inline down(i) {
	n[i].up = 0; n[i].acts = 0; n[i].solo = 0; n[i].lease = 0; n[i].silence = 0; n[i].stint = 0; n[i].heir = 0;
	n[i].known = 0; n[i].newest = NEVER; n[i].peer = 0; n[i].peerActs = 0
}

/* step is what node i may do at any moment; not doing it is standing still. */
inline step(i) {
	if
	:: n[i].up && !FULL(1 - i) -> send(i, 0, 0)
	:: n[i].up && !FULL(1 - i) && n[i].peer > 0 -> answering(i)
	:: n[i].up && !n[i].acts && n[i].silence >= TAKE -> take(i)
	:: n[i].up && w[i].m[0].used -> receive(i, 0)
	:: n[i].up && w[i].m[SLOTS - 1].used && SLOTS > 1 -> receive(i, SLOTS - 1)
	:: w[i].m[0].used -> remove(i, 0) /* lost */
	:: n[i].up -> down(i)
	:: n[i].up && !FULL(1 - i) -> n[i].acts = 0; send(i, 0, 1); down(i)
	:: !n[i].up && n[i].life < (i == 0 -> LIVES : 1) -> n[i].life++; n[i].up = 1; enter(i, 0, 0)
	fi
}

Message x;
byte j, i_;

init {
	d_step { down(0); down(1); enter(0, 0, 0); enter(1, 0, 0) };
	do
	:: atomic { step(0); assert(!(MAY(0) && MAY(1))) }
	:: atomic { step(1); assert(!(MAY(0) && MAY(1))) }
	:: d_step { tick(); assert(!(MAY(0) && MAY(1))) }
	od
}
