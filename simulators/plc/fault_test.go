package plc

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newReader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

// TestFaults: what the client sees of each misbehaviour on `03 0000 0002`, "EOF" being the end of the connection, and that
// the next connection is served well once it is over.
func TestFaults(t *testing.T) {
	const good = "0007 0000 0007 01 03 04 1000 1001"
	for kind, want := range map[Kind]string{
		Silent: "", Reset: "EOF", Close: "EOF", CloseAfter: good + "EOF", Slow: good, Late: good, Drip: good,
		Stall: "0007 0000 0007", CutHeader: "0007 00 EOF", CutFrame: "0007 0000 0007 EOF", GarbageFirst: "DEADBEEF00" + good,
		Garbage: "0B 30 55 7A 9F C4 E9 0E 33 58 7D A2 C7", Duplicate: good + good,
		WrongTID: "5552 0000 0007 01 03 04 1000 1001", WrongProtocol: "0007 0001 0007 01 03 04 1000 1001",
		WrongUnit: "0007 0000 0007 02 03 04 1000 1001", WrongFunction: "0007 0000 0007 01 04 04 1000 1001",
		LengthZero: "0007 0000 0000 01 03 04 1000 1001", LengthHuge: "0007 0000 FFFF 01 03 04 1000 1001",
		LengthPlus: "0007 0000 0009 01 03 04 1000 1001", LengthMinus: "0007 0000 0005 01 03 04 1000 1001",
		ByteCount: "0007 0000 0007 01 03 FA 1000 1001", ShortAnswer: "0007 0000 0005 01 03 02 1000",
		LongAnswer: "0007 0000 0009 01 03 06 1000 1001 1234", ExceptionAnswer: "0007 0000 0003 01 83 04", ExceptionEmpty: "0007 0000 0002 01 83",
		SplitException: "0007 0000 0003 01 83 04", Echo: "0007 0000 0006 01 03 0000 0002" + good,
		Freeze: good, BadCRC: "0007 0000 0007 01 03 04 1000 1002", Refuse: "EOF",
	} {
		serve(t, nil, func(b *bench) {
			c := b.dial("a")
			if err := b.server.Inject(Fault{Kind: kind, Unit: 1, Delay: 20 * time.Millisecond}); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			got, err := ask(c, tcp(7, 1, "03 0000 0002"))
			seen := strings.ToUpper(hex.EncodeToString(got))
			if err != nil {
				seen += "EOF"
			}
			if want := strings.ReplaceAll(want, " ", ""); seen != want {
				t.Errorf("%s: %s, want %s", kind, seen, want)
			}
			b.server.Clear(1)
			time.Sleep(time.Second) // a refusal ends when the server listens again
			if got, err := ask(b.dial("a"), tcp(8, 1, "03 0000 0001")); !bytes.Equal(got, tcp(8, 1, "03 02 1000")) {
				t.Errorf("%s: afterwards % X %v", kind, got, err)
			}
		})
	}
}

func TestEveryKindIsTested(t *testing.T) {
	for _, k := range Kinds() {
		if (Fault{Kind: k}).Check() != nil {
			t.Errorf("%s is refused", k)
		}
	}
	for _, f := range []Fault{{Kind: "nonsense"}, {Kind: Slow, Delay: -1}, {Kind: Slow, Delay: maxFaultDelay + 1}, {Kind: Slow, Count: -1}, {Kind: Slow, After: -1}} {
		if New(Options{}).Inject(f) == nil {
			t.Errorf("%+v is accepted", f)
		}
	}
}

func TestAFaultIsForItsUnitFunctionAndCount(t *testing.T) {
	serve(t, nil, func(b *bench) {
		c := b.dial("a")
		if err := b.server.Inject(Fault{Kind: ExceptionAnswer, Code: DeviceBusy, Unit: 1, Function: 3, After: 1, Count: 2}); err != nil {
			t.Fatal(err)
		}
		for i, x := range []struct {
			unit    uint8
			request string
			refused bool
		}{
			{1, "03 0000 0001", false}, {2, "03 0000 0001", false}, {1, "04 0000 0001", false},
			{1, "03 0000 0001", true}, {2, "03 0000 0001", false}, {1, "03 0000 0001", true}, {1, "03 0000 0001", false},
		} {
			got, _ := ask(c, tcp(1, x.unit, x.request))
			if refused := bytes.Equal(got, tcp(1, x.unit, "83 06")); refused != x.refused {
				t.Errorf("request %d: % X", i, got)
			}
		}
		if n := len(b.server.Faults()); n != 0 {
			t.Errorf("%d faults are left", n)
		}
	})
}

// TestLateDoesNotHoldTheNextUp: the late answer comes after the next one.
func TestLateDoesNotHoldTheNextUp(t *testing.T) {
	serve(t, nil, func(b *bench) {
		c := b.dial("a")
		if err := b.server.Inject(Fault{Kind: Late, Delay: 300 * time.Millisecond, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(append(tcp(1, 1, "03 0000 0001"), tcp(2, 1, "03 0001 0001")...)); err != nil {
			t.Fatal(err)
		}
		got, _ := listen(c, time.Second)
		if want := append(tcp(2, 1, "03 02 1001"), tcp(1, 1, "03 02 1000")...); !bytes.Equal(got, want) {
			t.Errorf("% X", got)
		}
	})
}

func TestASpoiledAnswerIsToARequestThatWasDone(t *testing.T) {
	serve(t, nil, func(b *bench) {
		c := b.dial("a")
		for kind, done := range map[Kind]bool{Silent: true, ExceptionAnswer: false} {
			b.bank.Set(HoldingRegisters, 5, 0)
			if err := b.server.Inject(Fault{Kind: kind, Count: 1}); err != nil {
				t.Fatal(err)
			}
			if _, err := ask(c, tcp(1, 1, "06 0005 0001")); err != nil {
				t.Fatal(err)
			}
			if got := b.bank.Get(HoldingRegisters, 5, 1)[0] == 1; got != done {
				t.Errorf("%s: written %v", kind, got)
			}
		}
	})
}

func TestOverlap(t *testing.T) {
	type poll struct {
		from, to, every time.Duration
		ip              string
	}
	s := time.Second
	for name, c := range map[string]struct {
		polls []poll
		want  time.Duration
		turns int
	}{
		"one alone":             {[]poll{{0, 10 * s, s, "a"}}, 0, 0},
		"clean hand-over":       {[]poll{{0, 5 * s, s / 10, "a"}, {5*s + 50*time.Millisecond, 9 * s, s / 10, "b"}}, 0, 1},
		"there and back":        {[]poll{{0, 5 * s, s / 10, "a"}, {6 * s, 20 * s, s / 10, "b"}, {21 * s, 30 * s, s / 10, "a"}}, 0, 2},
		"both for two seconds":  {[]poll{{0, 7*s + time.Millisecond, s / 10, "a"}, {5*s + 50*time.Millisecond, 12 * s, s / 10, "b"}}, 1950 * time.Millisecond, 41},
		"one request too late":  {[]poll{{0, 5 * s, s / 10, "a"}, {5*s + 50*time.Millisecond, 9 * s, s / 10, "b"}, {5*s + 70*time.Millisecond, 5*s + 71*time.Millisecond, s, "a"}}, 20 * time.Millisecond, 3},
		"two within a tenure":   {[]poll{{0, 5 * s, s, "a"}, {5*s + s/2, 6 * s, s, "b"}, {6 * s, 9 * s, s, "a"}}, 0, 2},
		"a long time afterward": {[]poll{{0, 1, s, "a"}, {s, 9 * s, s, "b"}, {10 * s, 11 * s, s, "a"}}, 0, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			j := NewJournal(100)
			begin := time.Now()
			for at := time.Duration(0); at < 40*s; at += time.Millisecond {
				for _, p := range c.polls {
					if at >= p.from && at < p.to && (at-p.from)%p.every == 0 {
						j.Record(Request{Time: begin.Add(at), Device: "plc1", Remote: p.ip + ":1234"})
					}
				}
			}
			sum := j.Summaries()[0]
			if got := time.Duration(sum.Overlap.Duration * 1e6); got != c.want {
				t.Errorf("%s: overlap %v, want %v (%+v)", name, got, c.want, sum.Overlap)
			}
			if len(sum.HandOvers) != c.turns {
				t.Errorf("%s: %d hand-overs, want %d", name, len(sum.HandOvers), c.turns)
			}
		})
	}
}

func TestJournalIsBoundedAndKnowsRepeatedWrites(t *testing.T) {
	serve(t, func(o *Options) { o.Journal = NewJournal(5) }, func(b *bench) {
		b.journal = b.server.o.Journal
		c := b.dial("a")
		me := hostOf(c.LocalAddr().String())
		for range 4 {
			if _, err := ask(c, tcp(1, 1, "03 0000 0001")); err != nil {
				t.Fatal(err)
			}
		}
		for _, tid := range []uint16{5, 6, 6} {
			if _, err := ask(c, tcp(tid, 1, "10 0001 0001 02 0007")); err != nil {
				t.Fatal(err)
			}
		}
		all := b.journal.Requests(0, 0)
		if len(all) != 5 || all[0].Seq != 3 || all[4].Seq != 7 {
			t.Fatalf("kept %+v", all)
		}
		last := all[4]
		if last.Device != "plc1" || !last.Write || last.Function != 16 || last.Area != "hr" || last.Address != 1 || last.Quantity != 1 || last.Values[0] != 7 || hostOf(last.Remote) != me {
			t.Errorf("the write stands as %+v", last)
		}
		if got := b.journal.Requests(5, 1); len(got) != 1 || got[0].Seq != 6 {
			t.Errorf("after 5: %+v", got)
		}
		for _, s := range b.journal.Summaries() {
			if s.Device == "plc1" && (s.RepeatedWrites != 1 || s.Clients[me].Requests != 7 || s.Clients[me].Writes != 3) {
				t.Errorf("%+v", s)
			}
			if s.Device == "panel" && s.Clients[me].Connections != 1 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestJournalTellsABoundedNumberOfClientsApart(t *testing.T) {
	j := NewJournal(1)
	for i := range maxClients + 10 {
		j.Record(Request{Device: "plc1", Remote: string(rune('a'+i%26)) + string(rune('0'+i/26)) + ":1"})
	}
	s := j.Summaries()[0]
	if len(s.Clients) != maxClients+1 || s.Clients[furtherClients].Requests != 10 {
		t.Errorf("%d clients, %d requests of others", len(s.Clients), s.Clients[furtherClients].Requests)
	}
}
