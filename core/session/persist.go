package session

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"chancery/store"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// The rows of a session that can be resumed: itself in sm_session, and in
// sm_queue every durable stanza that the client has not acknowledged. Both are
// gone when the session ends.
var queueTable = &store.Table{Name: "sm_queue", Columns: []string{"session", "seq", "at", "stanza"}, Key: 2}

func queueRow(id any, seq uint64, e Entry) store.Row {
	b := e.Stanza.AppendWith(make([]byte, 0, e.Stanza.Size()+len(e.More)+32), stanza.NSClient, e.More)
	return store.Row{Table: queueTable, Values: []any{id, int64(seq), e.At.UnixMicro(), b}}
}

// handledRow never goes back: rows of <a/> and of messages may pass each other.
func handledRow(id any, handled uint64) store.Row {
	var n any = int64(handled)
	return store.Do(`UPDATE sm_session SET handled = ? WHERE id = ? AND handled < ?`, n, id, n)
}

func forgetSession(id string) store.Row { return store.Do(`DELETE FROM sm_session WHERE id = ?`, id) }

func forgetQueue(id string, upTo uint64) store.Row {
	return store.Do(`DELETE FROM sm_queue WHERE session = ? AND seq <= ?`, id, int64(upTo))
}

// append is DB.Append for callers that hold a lock: it may wait for somebody who
// waits for that lock.
func (e *Env) append(rows []store.Row, done func(error)) {
	e.work.begin()
	go e.DB.Append(rows, func(err error) {
		defer e.work.end()
		if done != nil {
			done(err)
		}
	})
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
	Taking   time.Time `json:"taking,omitzero"`
	Directed []jid.JID `json:"directed,omitempty"`
	Shift    uint64    `json:"shift,omitempty"`
}

// saved is called with mu held.
func (s *Session) saved() []byte {
	v := saved{ID: s.ID, Since: s.Since, Facts: s.facts, Want: Want(s.want.Load())}
	if s.sm != nil {
		v.Shift = s.sm.shift
	}
	if p := s.pres.Load(); p != nil {
		v.Presence, v.Priority, v.At, v.Taking = string(p.Stanza.Append(nil, stanza.NSClient)), p.Priority, p.At, p.taking
	}
	for j := range s.directed {
		v.Directed = append(v.Directed, j)
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

// unsaved is what the disk does not know yet, but for the rows of messages, which
// ride with those. One commit of it is on its way at a time, so that nothing old
// overwrites something new; what changes meanwhile goes with the next.
type unsaved struct {
	running bool
	state   bool        // saved has changed
	asked   bool        // the client waits to hear of in.stored
	rows    []store.Row // a new numbering: never after a state that builds on it
}

// stateChanged keeps what a later process must know of the session. It is not
// waited for: what is lost with a crash is told again by the client or its
// contacts.
func (s *Session) stateChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed()
}

// changed is stateChanged with mu held.
func (s *Session) changed() {
	s.unsaved.state = true
	s.save()
}

// save sees to it that what is unsaved will be saved. Called with mu held.
func (s *Session) save() {
	if s.unsaved.running || s.sm == nil || s.sm.id == "" || s.ended.Load() {
		return
	}
	if rows, done := s.commit(); rows != nil {
		s.unsaved.running = true
		s.env.append(rows, done)
	}
}

// commit is what is to be saved now, and what follows. Called with mu held.
func (s *Session) commit() ([]store.Row, func(error)) {
	u, l := s.unsaved, s.sm
	rows := u.rows
	if u.state {
		rows = append(rows, store.Do(`UPDATE sm_session SET state = ? WHERE id = ?`, s.saved(), l.id))
	}
	handled := s.in.done
	if handled > s.in.stored {
		rows = append(rows, handledRow(l.key, handled-s.in.base))
	}
	upTo := l.acked
	if upTo > l.trimmed {
		rows = append(rows, forgetQueue(l.id, upTo))
	}
	s.unsaved.rows, s.unsaved.state = nil, false
	return rows, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsaved.running = false
		s.quiet.Broadcast()
		if err != nil {
			s.unsaved.rows = append(u.rows, s.unsaved.rows...)
			s.unsaved.state = s.unsaved.state || u.state
			s.saveAgain()
			return
		}
		s.in.stored = max(s.in.stored, handled)
		l.trimmed = max(l.trimmed, upTo)
		if s.unsaved.asked {
			s.unsaved.asked = false
			s.tellHandled(s.in.stored)
		}
		s.save()
	}
}

// retryTime is how soon after a failure a session looks whether the database is
// back.
const retryTime = time.Second

// saveAgain tries once more for a client that waits for <a/>: one whose window is
// full says nothing until it comes. Otherwise the next who has something to save
// tries. Called with mu held.
func (s *Session) saveAgain() {
	if !s.unsaved.asked {
		return
	}
	time.AfterFunc(retryTime, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.save()
	})
}

// Forget is the rows that remove the session, for the commit in which what was
// not acknowledged finds another way; none when nothing was kept.
func (s *Session) Forget() []store.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || s.sm.id == "" {
		return nil
	}
	return []store.Row{forgetQueue(s.sm.id, math.MaxInt64), forgetSession(s.sm.id)}
}

// forgetRow removes the row of an entry that was on its way when the session
// ended. Called with mu held.
func (s *Session) forgetRow(e *entry) {
	s.env.append([]store.Row{store.Do(`DELETE FROM sm_queue WHERE session = ? AND seq = ?`, s.sm.id, int64(e.seq))}, nil)
}

// epoch is the gap left in the numbering at a restart. The last rows may have
// been followed by any number of stanzas that were not durable; the client
// counts those too, and its h, which is below epoch, must not reach what is
// queued from now on.
const epoch = 1 << 32

// Revive reads the sessions that an earlier process has left, the newest first,
// to wait for resumption as if they had lost their connection just now: see Await.
// address gives the bare address of an account; what belongs to none is removed.
func Revive(ctx context.Context, env *Env, address func(account int64) (jid.JID, bool)) ([]*Session, error) {
	rows, err := env.DB.Read().Query(ctx, `SELECT id, account, resource, handled, state FROM sm_session ORDER BY created DESC, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*Session
	byID := map[string]*Session{}
	var stray []string
	for rows.Next() {
		var id, resource string
		var account, handled int64
		var state []byte
		if err := rows.Scan(&id, &account, &resource, &handled, &state); err != nil {
			return nil, err
		}
		bare, ok := address(account)
		if !ok {
			stray = append(stray, id)
			continue
		}
		s, err := revive(env, id, bare, resource, state)
		if err != nil {
			env.Log.Warn("a stored session cannot be read", "who", bare.String(), "err", err)
			continue
		}
		s.Account = account
		s.in.taken, s.in.done, s.in.stored = uint64(handled), uint64(handled), uint64(handled)
		all, byID[id] = append(all, s), s
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := tidy(ctx, env.DB, stray); err != nil {
		return nil, err
	}
	return all, reviveQueues(ctx, env, byID)
}

// tidy removes stray sessions, and rows that were on their way when their session
// ended.
func tidy(ctx context.Context, db *store.DB, stray []string) error {
	return db.Write(ctx, func(tx store.Tx) error {
		for _, id := range stray {
			if _, err := tx.Exec(ctx, `DELETE FROM sm_session WHERE id = ?`, id); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM sm_queue WHERE session NOT IN (SELECT id FROM sm_session)`)
		return err
	})
}

func revive(env *Env, id string, bare jid.JID, resource string, state []byte) (*Session, error) {
	full, err := bare.WithResource(resource)
	if err != nil {
		return nil, err
	}
	var v saved
	if err := json.Unmarshal(state, &v); err != nil {
		return nil, err
	}
	s := New(env, v.ID, full, 0, nil, v.Facts)
	s.Since = v.Since
	s.want.Store(uint32(v.Want))
	s.sm = &ledger{id: id, key: id, revived: true, shift: v.Shift, last: v.Shift + epoch}
	if v.Presence != "" {
		st, err := stanza.Parse([]byte(v.Presence))
		if err != nil {
			return nil, err
		}
		s.pres.Store(&Presence{Stanza: st, Priority: v.Priority, At: v.At, taking: v.Taking})
	}
	for _, j := range v.Directed {
		if s.directed == nil {
			s.directed = map[jid.JID]struct{}{}
		}
		s.directed[j] = struct{}{}
	}
	return s, nil
}

func reviveQueues(ctx context.Context, env *Env, byID map[string]*Session) error {
	rows, err := env.DB.Read().Query(ctx, `SELECT session, seq, at, stanza FROM sm_queue ORDER BY session, seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var seq, at int64
		var b []byte
		if err := rows.Scan(&id, &seq, &at, &b); err != nil {
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
		s.sm.enqueue(&entry{Entry: Entry{Stanza: st, At: time.UnixMicro(at)}, seq: uint64(seq), durable: true})
		s.sm.last = max(s.sm.last, uint64(seq))
	}
	return rows.Err()
}

// Await starts the wait for resumption of a revived session.
func (s *Session) Await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wire == nil && !s.ended.Load() {
		s.expire(max(s.env.Settings.Load().C2S.ResumeTime, time.Second))
	}
}
