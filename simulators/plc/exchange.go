package plc

import (
	"cmp"
	"context"
	"net"
	"sync"
	"time"
)

// exchange is one connection's requests and answers.
type exchange struct {
	server *Server
	conn   net.Conn
	remote string
	slots  chan struct{} // bounds the requests answered at a time
	wg     sync.WaitGroup
	write  sync.Mutex
}

// request answers one request, now or in a goroutine of its own. It reports whether the connection goes on.
func (x *exchange) request(ctx context.Context, f frame) bool {
	arrived := time.Now()
	fault, faulty := x.server.pick(f.unit, f.pdu[0])
	if !x.server.o.Parallel && !(faulty && fault.Kind == Late) {
		return x.inTurn(ctx, f, arrived, fault, faulty)
	}
	select {
	case x.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	x.wg.Go(func() {
		defer func() { <-x.slots }()
		if !x.answer(ctx, f, arrived, fault, faulty) {
			_ = x.conn.Close() // ends the reader
		}
	})
	return true
}

// inTurn answers while no other request of the server is being answered, as a single processor or serial line does.
func (x *exchange) inTurn(ctx context.Context, f frame, arrived time.Time, fault Fault, faulty bool) bool {
	select {
	case x.server.line <- struct{}{}:
		defer func() { <-x.server.line }()
	case <-ctx.Done():
		return false
	}
	return x.answer(ctx, f, arrived, fault, faulty)
}

func (x *exchange) answer(ctx context.Context, f frame, arrived time.Time, fault Fault, faulty bool) bool {
	good := x.execute(f, arrived, fault)
	wait := x.server.o.Latency
	if fault.Kind == Slow || fault.Kind == Late {
		wait += fault.Delay
	}
	if !sleep(ctx, wait) {
		return false
	}
	if !faulty {
		return x.send(good.bytes(x.server.o.Framing))
	}
	if fault.Kind == Echo && !x.send(f.bytes(x.server.o.Framing)) {
		return false
	}
	return x.misbehave(ctx, good, fault)
}

// execute carries the request out and records it. A fault spoils the answer, not the work, except an exception: a
// controller that gives one did nothing.
func (x *exchange) execute(f frame, arrived time.Time, fault Fault) frame {
	unit, known := x.server.o.Units[f.unit]
	bank := unit.Bank
	switch {
	case !known:
		bank = deadUnit{NoGatewayAnswer}
	case fault.Kind == ExceptionAnswer || fault.Kind == ExceptionEmpty || fault.Kind == SplitException:
		bank = deadUnit{cmp.Or(fault.Code, DeviceFailure)}
	}
	pdu, c := answer(bank, unit.Identity, f.pdu)
	device := unit.Device
	if !known {
		device = x.server.o.Name
	}
	if x.server.o.Framing == RTU {
		f.pdu = nil // without a transaction id nobody can tell a repeated write from a second one
	}
	x.server.o.Journal.record(Request{
		Time: arrived, Device: device, Unit: f.unit, Function: c.function, Area: c.area.String(), Address: c.addr, Quantity: c.quantity,
		Remote: x.remote, Write: c.write, Values: c.values[:min(len(c.values), maxJournalValues)], Exception: uint8(c.exception), Fault: fault.Kind,
	}, f)
	return frame{tid: f.tid, unit: f.unit, pdu: pdu}
}

// deadUnit answers everything with an exception.
type deadUnit struct{ Exception }

func (d deadUnit) Read(Area, uint16, []uint16) Exception  { return d.Exception }
func (d deadUnit) Write(Area, uint16, []uint16) Exception { return d.Exception }

// misbehave sends what the fault makes of the good answer.
func (x *exchange) misbehave(ctx context.Context, good frame, fault Fault) bool {
	out := fault.mangle(good, x.server.o.Framing)
	switch fault.Kind {
	case Silent:
		return true
	case Close:
		return false
	case Reset:
		reset(x.conn)
		return false
	case CloseAfter:
		x.send(out)
		return false
	case CutHeader:
		x.send(out[:min(3, len(out))])
		return false
	case CutFrame:
		x.send(out[:len(out)/2])
		reset(x.conn)
		return false
	case Stall:
		return x.send(out[:len(out)/2])
	case SplitException:
		half := len(out) / 2
		return x.send(out[:half]) && sleep(ctx, fault.Delay) && x.send(out[half:])
	case Drip:
		return x.drip(ctx, out, fault.Delay)
	}
	return x.send(out)
}

func (x *exchange) drip(ctx context.Context, out []byte, every time.Duration) bool {
	for i := range out {
		if !sleep(ctx, every) || !x.send(out[i:i+1]) {
			return false
		}
	}
	return true
}

func (x *exchange) send(b []byte) bool {
	x.write.Lock()
	defer x.write.Unlock()
	_, err := x.conn.Write(b)
	return err == nil
}

// sleep waits and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
