package server

import (
	"context"
	"fmt"
	"time"

	"scada/acquisition/opcua"
	"scada/acquisition/tag"
	"scada/history"
	"scada/history/journal"
)

// uaPast is the history of an OPC UA device as its own record completes it. What it brings goes into the archive alone:
// neither the live values nor the alarms see it. It implements [opcua.Past].
type uaPast struct {
	s      *Server
	area   *area
	feed   *feed
	device string
}

// unsettled is how far before the last record a healing begins: whoever acted since an outage, perhaps the other node and
// for a moment only, may have had no time to fill it.
const unsettled = 10 * time.Minute

// Known implements [opcua.Past]: the archive knows the device up to a while before its last record, or to when the device
// was lost before that.
func (p *uaPast) Known() time.Time {
	known := p.s.store.LastRecorded(p.area.name)
	if known == 0 {
		return time.Time{}
	}
	known -= int64(unsettled)
	g := p.s.now()
	for _, name := range p.feed.names {
		x := g.last(name)
		if (x.Quality == tag.UncertainNoCommunicationLastUsable || x.Quality == tag.BadNoCommunication) && x.Time > 0 {
			known = min(known, x.Time)
		}
	}
	return time.Unix(0, known)
}

// Recover implements [opcua.Past].
func (p *uaPast) Recover(ctx context.Context, samples []tag.Update) (int, error) {
	byTag := map[string]*history.Entered{}
	for _, u := range samples {
		name := p.feed.names[u.Tag]
		if name == "" || p.s.store.Enterable(u.Sample) != nil {
			continue
		}
		if byTag[name] == nil {
			byTag[name] = &history.Entered{Tag: name}
		}
		byTag[name].Samples = append(byTag[name].Samples, u.Sample)
	}
	var what []history.Entered
	for _, e := range byTag {
		what = append(what, *e)
	}
	return p.s.store.Recover(ctx, what)
}

// Recovered implements [opcua.Past]: the standby gets what was brought by an exchange of the archives.
func (p *uaPast) Recovered(r opcua.Recovery) {
	from, to := r.From.UnixNano(), r.To.UnixNano()
	p.s.log.Info("A gap was filled from the device's own history", "device", p.device, "from", r.From, "to", r.To, "samples", r.Samples, "added", r.Added, "tags_without", r.Without)
	if r.Added == 0 {
		return
	}
	text := fmt.Sprintf("%d samples the device kept itself, %s to %s; %d of its tags have no history there", r.Added, instantText(from), instantText(to), r.Without)
	p.area.record(p.s.newEntry(journal.ClassSystem, "history recovered", p.area.name, p.device, "", text))
	p.s.exchange(from, to)
}

var _ opcua.Past = (*uaPast)(nil)
