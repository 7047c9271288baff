package session

import (
	"context"
	"encoding/json"
	"time"

	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// The rows of a session that can be resumed: itself in sm_session, and in
// sm_queue every durable stanza that the client has not acknowledged. Both are
// gone when the session ends.
var queueTable = &store.Table{Name: "sm_queue", Columns: []string{"session", "seq", "at", "stanza"}, Key: 2}

func queueRow(id string, seq uint64, now time.Time, e Entry) store.Row {
	b := e.Stanza.AppendWith(make([]byte, 0, e.Stanza.Size()+len(e.More)+32), stanza.NSClient, e.More)
	return store.Row{Table: queueTable, Values: []any{id, int64(seq), now.UnixMicro(), b}}
}

// handledRow never goes back: rows of <a/> and of messages may pass each other.
func handledRow(id string, handled uint64) store.Row {
	return store.Do(`UPDATE sm_session SET handled = ? WHERE id = ? AND handled < ?`, int64(handled), id, int64(handled))
}

// saved is what is kept of a session beside its counters.
type saved struct {
	ID       string    `json:"conn"`
	Since    time.Time `json:"since"`
	Facts    Facts     `json:"facts"`
	Want     Want      `json:"want,omitempty"`
	Presence string    `json:"presence,omitempty"`
	Priority int8      `json:"priority,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Shift    uint64    `json:"shift,omitempty"`
}

// saved is called with mu held.
func (s *Session) saved() []byte {
	v := saved{ID: s.ID, Since: s.Since, Facts: s.Facts, Want: Want(s.want.Load())}
	if s.sm != nil {
		v.Shift = s.sm.shift
	}
	if p := s.pres.Load(); p != nil {
		v.Presence, v.Priority, v.At = string(p.Stanza.Append(nil, stanza.NSClient)), p.Priority, p.At
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// register makes the session durable. It has no ledger yet, so nobody else
// writes rows of it.
func (s *Session) register(ctx context.Context, id string) error {
	s.mu.Lock()
	state := s.saved()
	s.mu.Unlock()
	return s.env.DB.Write(ctx, func(tx store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO sm_session (id, account, resource, created, handled, state) VALUES (?, ?, ?, ?, 0, ?)`,
			id, s.Account, s.JID.Resource(), s.Since.UnixMicro(), state)
		return err
	})
}

// stateChanged keeps what a later process must know of the session. It is not
// waited for: what is lost with a crash is told again by the client or its
// contacts.
func (s *Session) stateChanged() {
	s.mu.Lock()
	if s.sm == nil || s.sm.id == "" || s.ended {
		s.mu.Unlock()
		return
	}
	row := store.Do(`UPDATE sm_session SET state = ? WHERE id = ?`, s.saved(), s.sm.id)
	s.mu.Unlock()
	s.env.DB.Append([]store.Row{row}, nil)
}

// Forget is the rows that remove the session, for the commit in which what was
// not acknowledged finds another way; none when nothing was kept.
func (s *Session) Forget() []store.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.sm.id == "" {
		return nil
	}
	return []store.Row{
		store.Do(`DELETE FROM sm_queue WHERE session = ?`, s.sm.id),
		store.Do(`DELETE FROM sm_session WHERE id = ?`, s.sm.id),
	}
}

// trim deletes the rows of what the client has acknowledged. One deletion is on
// its way at a time; what is acknowledged meanwhile goes with the next. Called
// with mu held, which Append must not be: it may wait for somebody who waits
// for mu.
func (s *Session) trim() {
	l := s.sm
	if l.id == "" || l.trimming || l.trimmed == l.acked {
		return
	}
	l.trimming = true
	upTo := l.acked
	go s.env.DB.Append([]store.Row{store.Do(`DELETE FROM sm_queue WHERE session = ? AND seq <= ?`, l.id, int64(upTo))}, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.trimming = false
		if err == nil {
			l.trimmed = upTo
			s.trim()
		}
	})
}

// saveShift writes a new numbering, with the rows that change for it. Called
// with mu held.
func (s *Session) saveShift(rows ...store.Row) {
	if s.sm.id == "" {
		return
	}
	rows = append(rows, store.Do(`UPDATE sm_session SET state = ? WHERE id = ?`, s.saved(), s.sm.id))
	go s.env.DB.Append(rows, nil)
}

// epoch is the gap left in the numbering at a restart. The last rows may have
// been followed by any number of stanzas that were not durable; the client
// counts those too, and its h must not reach what is queued from now on.
const epoch = 1 << 24

// Revive reads the sessions that an earlier process has left, to wait for
// resumption as if they had lost their connection just now. addresses gives the
// bare address of an account; a session whose account is gone is skipped.
func Revive(ctx context.Context, env *Env, address func(account int64) (jid.JID, bool)) ([]*Session, error) {
	rows, err := env.DB.Read().Query(ctx, `SELECT id, account, resource, handled, state FROM sm_session`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*Session
	byID := map[string]*Session{}
	for rows.Next() {
		var id, resource string
		var account, handled int64
		var state []byte
		if err := rows.Scan(&id, &account, &resource, &handled, &state); err != nil {
			return nil, err
		}
		if s := revive(env, id, account, resource, handled, state, address); s != nil {
			all, byID[id] = append(all, s), s
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return all, reviveQueues(ctx, env, byID)
}

func revive(env *Env, id string, account int64, resource string, handled int64, state []byte, address func(int64) (jid.JID, bool)) *Session {
	bare, ok := address(account)
	if !ok {
		return nil
	}
	full, err := bare.WithResource(resource)
	var v saved
	if err != nil || json.Unmarshal(state, &v) != nil {
		env.Log.Warn("a stored session cannot be read", "who", bare.String(), "conn", id)
		return nil
	}
	s := &Session{env: env, ID: v.ID, JID: full, Account: account, Since: v.Since, Facts: v.Facts, lost: time.Now()}
	s.want.Store(uint32(v.Want))
	s.in.taken, s.in.done, s.in.stored = uint64(handled), uint64(handled), uint64(handled)
	s.sm = &ledger{id: id, revived: true, shift: v.Shift, last: v.Shift + epoch}
	if st, err := stanza.Parse([]byte(v.Presence)); v.Presence != "" && err == nil {
		s.pres.Store(&Presence{Stanza: st, Priority: v.Priority, At: v.At})
	}
	return s
}

func reviveQueues(ctx context.Context, env *Env, byID map[string]*Session) error {
	rows, err := env.DB.Read().Query(ctx, `SELECT session, seq, stanza FROM sm_queue ORDER BY session, seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var seq int64
		var b []byte
		if err := rows.Scan(&id, &seq, &b); err != nil {
			return err
		}
		s := byID[id]
		if s == nil {
			continue
		}
		st, err := stanza.Parse(b)
		if err != nil {
			env.Log.Warn("a stored stanza cannot be read", "who", s.JID.String(), "err", err)
			continue
		}
		s.sm.queue = append(s.sm.queue, &entry{Entry: Entry{Stanza: st}, seq: uint64(seq), durable: true})
		s.sm.last = max(s.sm.last, uint64(seq)+epoch)
	}
	return rows.Err()
}

// Await starts the wait for resumption of a revived session.
func (s *Session) Await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil && !s.ended {
		s.expire(max(s.env.Settings.Load().C2S.ResumeTime, time.Second))
	}
}
