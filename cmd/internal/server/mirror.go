package server

import (
	"fmt"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
	"scada/alarms"
	"scada/history"
	"scada/history/journal"
	"scada/redundancy"
)

// snapshot returns the whole state of the area as records and the position it belongs to.
func (a *area) snapshot() (uint64, []redundancy.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	table := make([]tag.Update, 0, len(a.ids))
	for _, id := range a.ids {
		table = append(table, tag.Update{Tag: id, Sample: a.live.Get(id)})
	}
	records := append([]redundancy.Record{jsonRecord(kindHeader, header{Digest: a.digest})}, a.conf.snapshot()...)
	records = append(records, sampleRecords(kindShown, table)...)
	records = append(records, parts(kindImage, a.engine.Snapshot())...)
	records = append(records, a.apps.snapshot()...)
	records = append(records, a.notify.snapshot()...)
	records = append(records, a.export.snapshot()...)
	return a.seq, append(records, jsonRecord(kindDevices, a.devices))
}

// applySnapshot replaces the state of a standby area. Nothing is changed unless all of it can be read.
func (a *area) applySnapshot(epoch, seq uint64, records []redundancy.Record) error {
	var table []tag.Update
	var image, outbox, exports []byte
	var devices []acquisition.DeviceStatus
	var deployed []appRecord
	if len(records) == 0 || records[0].Kind != kindHeader {
		return fmt.Errorf("the snapshot of area %s has no header", a.name)
	}
	h, err := readJSON[header](records[0])
	if err != nil {
		return err
	}
	if h.Digest != a.digest {
		return fmt.Errorf("the snapshot of area %s belongs to configuration %s, this node has %s", a.name, h.Digest, a.digest)
	}
	for _, r := range records[1:] {
		switch r.Kind {
		case kindShown:
			table, err = readSamples(table, r.Payload)
		case kindImage:
			image = append(image, r.Payload...)
		case kindOutbox:
			outbox = append(outbox, r.Payload...)
		case kindExports:
			exports = append(exports, r.Payload...)
		case kindApp:
			var one appRecord
			one, err = readJSON[appRecord](r)
			deployed = append(deployed, one)
		case kindDevices:
			devices, err = readJSON[[]acquisition.DeviceStatus](r)
		}
		if err != nil {
			return fmt.Errorf("snapshot of area %s: %w", a.name, err)
		}
	}
	sent, err := readExports(exports)
	if err != nil {
		return fmt.Errorf("snapshot of area %s: %w", a.name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.engine.Restore(image); err != nil {
		return fmt.Errorf("snapshot of area %s: %w", a.name, err)
	}
	a.inherit(epoch)
	if err := a.notify.restore(outbox); err != nil {
		return fmt.Errorf("snapshot of area %s: %w", a.name, err)
	}
	a.export.restore(sent)
	a.changed++
	a.from = nil
	a.live.Apply(table)
	a.apps.adopt(deployed...)
	a.epoch, a.seq, a.devices = epoch, seq, devices
	a.commit.add(commitment{epoch: epoch, seq: seq})
	return nil
}

// apply adds records of the stream to a standby area.
func (a *area) apply(epoch, firstSeq uint64, records []redundancy.Record) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := commitment{epoch: epoch, seq: firstSeq + uint64(len(records)) - 1}
	for _, r := range records {
		if r.Kind == kindStage {
			a.conf.stage(r.Payload)
			continue
		}
		if r.Kind == kindExported {
			if err := a.export.done(r); err != nil {
				return fmt.Errorf("area %s: %w", a.name, err)
			}
			continue
		}
		if r.Kind == kindRevision {
			a.mu.Unlock()
			err := a.conf.follow(a, r)
			a.mu.Lock()
			if err != nil {
				return err
			}
			continue
		}
		if err := a.applyOne(r, &c); err != nil {
			return fmt.Errorf("area %s: %w", a.name, err)
		}
	}
	a.epoch, a.seq = epoch, c.seq
	a.commit.add(c)
	return nil
}

func (a *area) applyOne(r redundancy.Record, c *commitment) error {
	switch r.Kind {
	case kindSamples, kindUnrecorded, kindShown, kindRepeated:
		batch, err := readSamples(nil, r.Payload)
		if err != nil {
			return err
		}
		batch = translate(batch, a.from)
		if r.Kind != kindRepeated {
			a.live.Apply(batch)
		}
		if r.Kind != kindShown {
			a.engine.Observe(batch)
		}
		if r.Kind == kindSamples {
			a.keep.note(batch)
			c.pos = a.store.Append(batch)
			a.samples += uint64(len(batch))
			a.lastAt = time.Now()
		}
	case kindOutcome:
		out, _, err := alarms.ReadOutcome(r.Payload)
		if err != nil {
			return err
		}
		if err := a.engine.Apply(out); err != nil && a.from == nil {
			return err // else: of the configuration before, which had alarms this one has not
		}
		a.changed++
		a.notify.take(out.Events, nil)
		c.entries = append(c.entries, a.entries(out.Events)...)
		c.changes = append(c.changes, a.changes(out.Events)...)
	case kindEntries:
		entries, err := readJSON[[]journal.Entry](r)
		if err != nil {
			return err
		}
		c.entries = append(c.entries, entries...)
	case kindGap:
		g, err := readJSON[history.Gap](r)
		if err != nil {
			return err
		}
		c.pos = a.store.MarkGap(g.Scope, g.From, g.To, g.Reason)
	case kindDevices:
		devices, err := readJSON[[]acquisition.DeviceStatus](r)
		if err != nil {
			return err
		}
		a.devices = devices
	case kindExchange:
		past, err := readJSON[exchangeRecord](r)
		if err != nil {
			return err
		}
		a.want(past.From, past.To)
	case kindNotified:
		d, err := readJSON[notified](r)
		if err != nil {
			return err
		}
		a.notify.done(d)
	case kindApp:
		one, err := readJSON[appRecord](r)
		if err != nil {
			return err
		}
		a.apps.adopt(one)
	case kindAppState:
		state, err := readJSON[appState](r)
		if err != nil {
			return err
		}
		a.apps.adoptState(state)
	default:
		return fmt.Errorf("unknown kind of record %d: the peer runs another version", r.Kind)
	}
	return nil
}
