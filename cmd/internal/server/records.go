package server

import (
	"encoding/json"
	"fmt"

	"scada/acquisition/tag"
	"scada/redundancy"
)

// The kinds of records in an area's stream. The numbers are part of the link format: append only.
const (
	kindHeader     uint8 = iota + 1 // of a snapshot: which configuration the tag numbers belong to
	kindSamples                     // acquired samples: values, alarms, history
	kindShown                       // samples shown only: requalified, or the table of a snapshot
	kindOutcome                     // what the alarm engine did
	kindImage                       // part of the alarm engine's image, in snapshots
	kindEntries                     // journal entries that are not alarm transitions
	kindGap                         // a stretch of time without samples
	kindDevices                     // the state of the devices as the active sees them
	kindUnrecorded                  // acquired samples that the history leaves out: values, alarms
	kindRepeated                    // samples the alarm engine was shown again: alarms only
	kindApp                         // an application: its generations and its state
	kindAppState                    // a new state of an application
	kindOutbox                      // part of the outbox of notifications, in snapshots
	kindNotified                    // what a receiver has taken
	kindExchange                    // a stretch of the past in which the standby lacks something
	kindStage                       // part of a revision of the configuration that the standby is to try
	kindRevision                    // tag numbers are those of another revision from here on
	kindExports                     // part of what the engines have that the history is sent to, in snapshots
	kindExported                    // what such an engine has now
)

// partBytes is where long content is cut into several records; a record may have [redundancy.MaxRecord] bytes.
const partBytes = redundancy.MaxRecord / 2

type header struct {
	Digest string `json:"digest"`
}

// sampleRecords encodes samples into as many records as their size takes.
func sampleRecords(kind uint8, batch []tag.Update) []redundancy.Record {
	var records []redundancy.Record
	payload := make([]byte, 0, min(len(batch)*24, partBytes))
	for _, u := range batch {
		payload = tag.AppendUpdate(payload, u)
		if len(payload) >= partBytes {
			records = append(records, redundancy.Record{Kind: kind, Payload: payload})
			payload = nil
		}
	}
	if len(payload) > 0 {
		records = append(records, redundancy.Record{Kind: kind, Payload: payload})
	}
	return records
}

func readSamples(dst []tag.Update, payload []byte) ([]tag.Update, error) {
	for len(payload) > 0 {
		u, rest, err := tag.ReadUpdate(payload)
		if err != nil {
			return dst, fmt.Errorf("samples from the peer: %w", err)
		}
		dst, payload = append(dst, u), rest
	}
	return dst, nil
}

// parts cuts one long payload into records that are joined again in order.
func parts(kind uint8, payload []byte) []redundancy.Record {
	var records []redundancy.Record
	for len(payload) > 0 {
		n := min(len(payload), partBytes)
		records = append(records, redundancy.Record{Kind: kind, Payload: payload[:n:n]})
		payload = payload[n:]
	}
	return records
}

// jsonRecord encodes content that is small and seldom, where readability is worth more than bytes.
func jsonRecord(kind uint8, v any) redundancy.Record {
	payload, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a record of kind %d cannot be encoded: %v", kind, err)) // plain structs of ours: a programming error
	}
	return redundancy.Record{Kind: kind, Payload: payload}
}

func readJSON[T any](r redundancy.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Payload, &v); err != nil {
		return v, fmt.Errorf("record of kind %d from the peer: %w", r.Kind, err)
	}
	return v, nil
}
