package offline

import (
	"context"
	"time"

	"chancery/core/session"
	"chancery/store"
	"chancery/xmpp/delay"
	"chancery/xmpp/stanza"
)

// handover is the messages of an account on their way to a session. Whoever runs
// it owns its fields, but for again and ready, which the lock of Offline guards.
type handover struct {
	account int64
	to      *session.Session
	after   int64 // the last message that was taken

	again *session.Session // arrived meanwhile: look once more when done
	ready bool             // Run may go on with it
	begun bool             // somebody runs it; otherwise it waits for Arrived
	idle  bool             // all was handed over, but something is coming
}

const (
	// atOnce is how many messages go into one commit.
	atOnce = 100
	// lookAgain is how often a client that has no room is looked at.
	lookAgain = 200 * time.Millisecond
)

// Run goes on with what one commit was not enough for, or the client had no room
// for, until ctx ends. What is left then stays in its rows.
func (o *Offline) Run(ctx context.Context) {
	tick := time.NewTimer(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-tick.C:
		}
		for _, h := range o.takeReady() {
			if full := o.proceed(ctx, h); full {
				o.setReady(h)
				tick.Reset(lookAgain)
			}
		}
	}
}

// takeReady gives the handovers that may go on to the caller.
func (o *Offline) takeReady() (all []*handover) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, h := range o.handovers {
		if h.ready {
			h.ready = false
			all = append(all, h)
		}
	}
	return all
}

func (o *Offline) setReady(h *handover) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h.ready = true
}

// goOn lets Run go on with a handover.
func (o *Offline) goOn(h *handover) {
	o.setReady(h)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// done ends a handover, or begins it again for whoever arrived meanwhile.
func (o *Offline) done(h *handover) {
	o.mu.Lock()
	if h.again == nil {
		h.begun, h.idle = false, true
		if o.coming[h.account] == 0 {
			o.forget(h.account)
		}
		o.mu.Unlock()
		return
	}
	h.to, h.again, h.after = h.again, nil, 0
	o.mu.Unlock()
	o.goOn(h)
}

// Arriving makes what comes for a session wait behind what is kept, until Arrived
// has handed that over.
func (o *Offline) Arriving(s *session.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.handovers[s.Account]; h == nil {
		o.handovers[s.Account] = &handover{account: s.Account, to: s}
		o.active.Add(1)
	} else if h.begun {
		h.again = s
	} else {
		h.to, h.idle = s, false
	}
}

// Behind tells whether a message that was kept for the account is on its way: to
// disk, or to a session.
func (o *Offline) Behind(s *session.Session) bool {
	if o.active.Load() == 0 { // most of the time, and asked for every message
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.handovers[s.Account] != nil || o.coming[s.Account] > 0
}

// begin gives the caller a handover to run; nil when somebody runs it, who will
// look again.
func (o *Offline) begin(s *session.Session) *handover {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.handovers[s.Account]
	switch {
	case h == nil:
		h = &handover{account: s.Account}
		o.handovers[s.Account] = h
		o.active.Add(1)
	case h.begun:
		h.again = s
		return nil
	}
	h.to, h.after, h.begun, h.idle = s, 0, true, false
	return h
}

// came says that the fate of a message that was kept is known. Whoever was to get
// it has been told to look by now.
func (o *Offline) came(account int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.active.Add(-1)
	if o.coming[account]--; o.coming[account] > 0 {
		return
	}
	delete(o.coming, account)
	if h := o.handovers[account]; h != nil && h.idle {
		o.forget(account)
	}
}

// forget ends a handover. Called with mu held.
func (o *Offline) forget(account int64) {
	if o.handovers[account] != nil {
		delete(o.handovers, account)
		o.active.Add(-1)
	}
}

// kept is a message that waits, with the row it came from.
type kept struct {
	id     int64
	at     time.Time
	stanza []byte
}

// proceed hands over what fits into one commit and into the client. It is true
// when nothing does, because the client is full: try later.
func (o *Offline) proceed(ctx context.Context, h *handover) (full bool) {
	if h.to.Ended() {
		o.done(h)
		return false
	}
	stanzas, bytes := o.roomOf(h.to)
	if stanzas <= 0 || bytes <= 0 {
		return true
	}
	limit := min(stanzas, atOnce)
	list, err := load(ctx, o.db.Read(), h.account, h.after, limit)
	if err != nil {
		o.failed(h, err)
		return false
	}
	batch, all := o.pack(h, list, bytes)
	o.commit(h, batch, all && len(list) < limit)
	return false
}

// pack makes parcels of messages, of as many as fit.
func (o *Offline) pack(h *handover, list []kept, bytes int) (batch []parcel, all bool) {
	for _, k := range list {
		if len(batch) > 0 && bytes < len(k.stanza) {
			return batch, false
		}
		bytes -= len(k.stanza)
		h.after = k.id
		st, err := stanza.Parse(k.stanza)
		if err != nil {
			o.log.Error("a message that was kept cannot be read, and stays where it is", "who", h.to.JID.String(), "id", k.id, "err", err)
			continue
		}
		batch = append(batch, newParcel(h.to, k, st))
	}
	return batch, true
}

// roomOf is how much a session may get now without losing its connection or its
// place in memory for it.
func (o *Offline) roomOf(s *session.Session) (stanzas, bytes int) {
	set, st := &o.settings.Load().C2S, s.Status()
	return set.QueueStanzas/2 - st.Unacked, int(set.OutboxBytes)/2 - st.Waiting
}

// parcel is a message with its place in the session's queue, if that is durable.
type parcel struct {
	kept
	st   *stanza.Stanza
	more []byte
	hold *session.Hold
}

func newParcel(s *session.Session, k kept, st *stanza.Stanza) parcel {
	p := parcel{kept: k, st: st}
	if !delayed(s, st) {
		p.more = delay.Node(s.JID.Server(), k.at, "Offline Storage").Append(nil, stanza.NSClient)
	}
	p.hold = s.Reserve(st, p.more)
	return p
}

// delayed tells whether the message says already that it waited here: it was
// handed over before, to a client that went away.
func delayed(s *session.Session, st *stanza.Stanza) bool {
	for _, p := range st.Parts {
		if p.Name.Space == delay.NS {
			if n := st.Node(p); n != nil && n.Attr("from") == s.JID.Domain() {
				return true
			}
		}
	}
	return false
}

// commit moves a batch from its rows to the session; last says that there was no
// more.
func (o *Offline) commit(h *handover, batch []parcel, last bool) {
	next := o.goOn
	if last {
		next = o.done
	}
	if len(batch) == 0 {
		next(h)
		return
	}
	var rows []store.Row
	for _, p := range batch {
		rows = append(rows, remove(h.account, p.id))
		if p.hold != nil {
			rows = append(rows, p.hold.Row(p.at))
		}
	}
	o.db.Append(rows, func(err error) {
		for _, p := range batch {
			if !p.tell(h.to, err) {
				o.db.Append([]store.Row{row(h.account, p.id, p.at, p.stanza)}, nil)
			}
		}
		if err != nil {
			o.failed(h, err)
			return
		}
		o.counts.Delete(h.account)
		next(h)
	})
}

// tell gives the message to the session once its row is gone. It is false when
// the session is over and the message must be kept again.
func (p parcel) tell(s *session.Session, err error) bool {
	if p.hold != nil {
		return p.hold.Settle(err) || err != nil
	}
	return err != nil || s.SendWith(p.st, p.more)
}
