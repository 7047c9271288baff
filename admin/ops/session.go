package ops

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"chancery/core/session"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// Session is somebody who is logged in.
type Session struct {
	JID      jid.JID    `json:"jid"`
	ID       string     `json:"id"` // as `conn` in the log
	Since    time.Time  `json:"since"`
	Presence string     `json:"presence,omitempty"` // available, away, …; "" before the first presence
	Priority int        `json:"priority"`
	LastSent *time.Time `json:"presence_at,omitempty"`
	session.Facts
	session.Status
}

// Sessions lists the sessions of one account, of a domain, or with "" of this node, ordered by address.
func (o *Ops) Sessions(ctx context.Context, by Actor, of string) ([]Session, error) {
	if err := o.allow(by, ReadSessions, "session.list"); err != nil {
		return nil, err
	}
	found, err := o.find(of)
	if err != nil {
		return nil, err
	}
	all := make([]Session, len(found))
	for i, s := range found {
		all[i] = describe(s)
	}
	slices.SortFunc(all, func(a, b Session) int { return cmp.Compare(a.JID.String(), b.JID.String()) })
	return all, nil
}

// find understands "", a domain, an account and a full address.
func (o *Ops) find(of string) ([]*session.Session, error) {
	if o.Online == nil {
		return nil, nil
	}
	if of == "" {
		return o.Online.All(), nil
	}
	j, err := jid.Parse(of)
	switch {
	case err != nil:
		return nil, invalid("%q is not an address: %v", of, err)
	case j.Local() == "":
		return slices.DeleteFunc(o.Online.All(), func(s *session.Session) bool { return s.JID.Domain() != j.Domain() }), nil
	case j.IsBare():
		return o.Online.Sessions(j), nil
	}
	if s := o.Online.Session(j); s != nil {
		return []*session.Session{s}, nil
	}
	return nil, nil
}

func describe(s *session.Session) Session {
	d := Session{JID: s.JID, ID: s.ID, Since: s.Since, Facts: s.Facts(), Status: s.Status()}
	if p := s.Presence(); p != nil {
		d.Presence, d.Priority, d.LastSent = "available", int(p.Priority), stamp(p.At)
		if show := p.Stanza.Find(stanza.NSClient, "show"); show != nil && show.Text != "" {
			d.Presence = show.Text
		}
	}
	return d
}

// EndSessions ends one session (user@domain/resource) or all of an account. The client is told reason, or that it was an
// administrator; nothing that was sent to it is lost, and it may log in again. It returns how many were ended.
func (o *Ops) EndSessions(ctx context.Context, by Actor, of, reason string) (int, error) {
	if err := o.allow(by, EndSessions, "session.kick"); err != nil {
		return 0, err
	}
	j, err := jid.Parse(of)
	switch {
	case err != nil:
		return 0, invalid("%q is not an address: %v", of, err)
	case j.Local() == "":
		return 0, invalid("%s is a whole domain; name an account or a session", j)
	case len(reason) > 500:
		return 0, invalid("the reason is longer than 500 bytes")
	}
	found, err := o.find(of)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, &Error{NotFound, fmt.Sprintf("%s is not logged in", j)}
	}
	if err := o.do(ctx, by, act{EndSessions, "session.kick", j.String(), reason}, nil); err != nil {
		return 0, err
	}
	for _, s := range found {
		s.End(stream.Fail(stream.PolicyViolation, cmp.Or(reason, "ended by an administrator")))
	}
	return len(found), nil
}
