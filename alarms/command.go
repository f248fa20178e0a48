package alarms

import (
	"slices"
	"time"
)

// CommandKind is what an operator can ask for.
type CommandKind uint8

// The commands.
const (
	CommandNone CommandKind = iota
	CommandAck
	CommandReset
	CommandShelve
	CommandShelveOneShot
	CommandUnshelve
	CommandOOS
	CommandRTS
	CommandComment
)

var commandNames = []string{"", "ack", "reset", "shelve", "shelve_oneshot", "unshelve", "oos", "rts", "comment"}

// String returns the name of the command.
func (k CommandKind) String() string { return nameOf(commandNames, uint8(k)) }

// MarshalText writes the name.
func (k CommandKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *CommandKind) UnmarshalText(b []byte) error {
	v, err := valueOf("command", commandNames, string(b))
	*k = CommandKind(v)
	return err
}

// Command is what an operator asks for.
type Command struct {
	Kind      CommandKind
	Condition string
	// Occurrence is the one the operator saw, for an acknowledgement; 0 is the present one.
	Occurrence uint64
	By         string
	Comment    string
	For        time.Duration // of a shelving
}

// Result is the answer to a command. The engine gives the first group; the shell turns an ok into one of the second
// when the standby did not confirm.
type Result string

// The results of the engine.
const (
	ResultOK                 Result = "ok"
	ResultAlreadyAcked       Result = "already_acked"
	ResultOccurrenceAcked    Result = "occurrence_already_acked"
	ResultUnknownOccurrence  Result = "unknown_occurrence"
	ResultNotRequired        Result = "not_required" // hidden conditions need no acknowledgement
	ResultInvalidState       Result = "invalid_state"
	ResultShelvingOutOfRange Result = "shelving_time_out_of_range"
	ResultAlreadyShelved     Result = "already_shelved"
	ResultNotShelved         Result = "not_shelved"
	ResultAlreadyOOS         Result = "already_oos"
	ResultNotOOS             Result = "not_oos"
	ResultUnknownCondition   Result = "unknown_condition"
	ResultUnknownCommand     Result = "unknown_command"
	ResultTextTooLong        Result = "text_too_long"
)

// The results of the pair.
const (
	// ResultUnconfirmed: done here, the standby has not stored it.
	ResultUnconfirmed Result = "unconfirmed"
	// ResultOKSolo: done, there is no standby.
	ResultOKSolo Result = "ok_solo"
	// ResultNotActive: this node is not active and cannot reach the one that is.
	ResultNotActive Result = "not_active"
)

// Command executes an operator's command at now. A refused command changes nothing.
func (e *Engine) Command(now int64, cmd Command) (Result, Outcome) {
	e.advance(now - 1)
	r := e.command(now, cmd)
	e.settle(now)
	e.advance(now)
	return r, e.take()
}

func (e *Engine) command(now int64, cmd Command) Result {
	c, ok := e.byCond[cmd.Condition]
	if !ok {
		return ResultUnknownCondition
	}
	if len(cmd.By) > MaxText || len(cmd.Comment) > MaxText {
		return ResultTextTooLong
	}
	ev := Event{Time: now, By: cmd.By, Comment: cmd.Comment}
	r := ResultUnknownCommand
	switch cmd.Kind {
	case CommandAck:
		r = e.ack(c, cmd.Occurrence, ev)
	case CommandReset:
		r = e.reset(c, ev)
	case CommandShelve:
		r = e.shelve(c, cmd.For, ev)
	case CommandShelveOneShot:
		r = e.shelveOneShot(c, ev)
	case CommandUnshelve:
		r = e.unshelveBy(c, ev)
	case CommandOOS:
		r = e.outOfService(c, ev)
	case CommandRTS:
		r = e.returnToService(c, ev)
	case CommandComment:
		ev.Kind, ev.Level = KindComment, c.Level
		c.Comment = cmd.Comment
		e.emit(c, ev)
		r = ResultOK
	}
	e.schedule(c)
	return r
}

// ack acknowledges the occurrence the operator saw and the ones before it, never a newer one.
func (e *Engine) ack(c *condition, occ uint64, ev Event) Result {
	switch {
	case c.hidden():
		return ResultNotRequired
	case occ > c.Occurrence:
		return ResultUnknownOccurrence
	case occ != 0 && occ < c.Occurrence:
		return e.ackEarlier(c, occ, ev)
	case !c.Unacked:
		return ResultAlreadyAcked
	}
	ev.Also = numbers(c.Earlier)
	c.Unacked, c.Earlier = false, nil
	c.acknowledged(&ev)
	e.emit(c, ev)
	return ResultOK
}

func (c *condition) acknowledged(ev *Event) {
	ev.Kind, ev.Level = KindAck, c.Level
	c.AckedAt, c.AckedBy = ev.Time, ev.By
	if ev.Comment != "" {
		c.Comment = ev.Comment
	}
}

func (e *Engine) ackEarlier(c *condition, occ uint64, ev Event) Result {
	i := slices.IndexFunc(c.Earlier, func(o Occurrence) bool { return o.Number == occ })
	if i < 0 {
		return ResultOccurrenceAcked
	}
	ev.Also = numbers(c.Earlier[:i])
	c.Earlier = slices.Clone(c.Earlier[i+1:])
	ev.Kind, ev.Level, ev.Occurrence = KindAck, c.Level, occ
	e.emit(c, ev)
	return ResultOK
}

func numbers(list []Occurrence) []uint64 {
	var n []uint64
	for _, o := range list {
		n = append(n, o.Number)
	}
	return n
}

// reset ends a latch, only when the alarm is gone and acknowledged.
func (e *Engine) reset(c *condition, ev Event) Result {
	if !c.Latched || c.Level != LevelNone || c.Unacked {
		return ResultInvalidState
	}
	c.Latched = false
	ev.Kind = KindReset
	e.emit(c, ev)
	return ResultOK
}

func (e *Engine) shelve(c *condition, d time.Duration, ev Event) Result {
	switch {
	case c.Shelving != NotShelved:
		return ResultAlreadyShelved
	case d <= 0 || d > MaxDelay || (c.def.ShelveMax > 0 && d > c.def.ShelveMax):
		return ResultShelvingOutOfRange
	}
	e.putOnShelf(c, ShelvedTimed, ev.Time+int64(d), ev)
	return ResultOK
}

// shelveOneShot shelves until the end of the present or next activation, at most for the longest shelving time.
func (e *Engine) shelveOneShot(c *condition, ev Event) Result {
	if c.Shelving != NotShelved {
		return ResultAlreadyShelved
	}
	var until int64
	if c.def.ShelveMax > 0 {
		until = ev.Time + int64(c.def.ShelveMax)
	}
	e.putOnShelf(c, ShelvedOneShot, until, ev)
	return ResultOK
}

func (e *Engine) putOnShelf(c *condition, how Shelving, until int64, ev Event) {
	c.Shelving, c.ShelvedUntil, c.ShelvedBy = how, until, ev.By
	c.conceal()
	ev.Kind, ev.Level, ev.Until, ev.OneShot = KindShelve, c.Level, until, how == ShelvedOneShot
	e.emit(c, ev)
}

// unshelveBy is the operator taking an alarm back: he has seen it, so it comes back acknowledged and silent.
func (e *Engine) unshelveBy(c *condition, ev Event) Result {
	if c.Shelving == NotShelved {
		return ResultNotShelved
	}
	c.Shelving, c.ShelvedUntil, c.ShelvedBy = NotShelved, 0, ""
	ev.Kind, ev.Level = KindUnshelve, c.Level
	e.emit(c, ev)
	return ResultOK
}

func (e *Engine) outOfService(c *condition, ev Event) Result {
	if c.OOS {
		return ResultAlreadyOOS
	}
	c.OOS, c.OOSBy = true, ev.By
	c.conceal()
	ev.Kind, ev.Level = KindOOS, c.Level
	e.emit(c, ev)
	return ResultOK
}

func (e *Engine) returnToService(c *condition, ev Event) Result {
	if !c.OOS {
		return ResultNotOOS
	}
	c.OOS, c.OOSBy = false, ""
	ev.Kind = KindRTS
	e.reveal(c, ev)
	return ResultOK
}
