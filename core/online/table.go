// Package online knows who is bound where: the sessions of this node, by
// account, by full address and by the id under which they can be resumed.
package online

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"chancery/core/session"
	"chancery/xmpp/jid"
)

// Policy is what happens when a resource is bound twice (RFC 6120 §7.7.2.2).
type Policy struct {
	Conflict string // replace, refuse or rename
	Max      int    // sessions of one account
}

var (
	// ErrConflict refuses a resource that is in use.
	ErrConflict = errors.New("the resource is in use")
	// ErrTooMany refuses one session more than an account may have.
	ErrTooMany = errors.New("the account has too many sessions")
)

const shards = 64

// Table is this node's sessions. The zero value is not usable.
type Table struct {
	seed   maphash.Seed
	shards [shards]shard

	mu        sync.Mutex
	resumable map[string]*session.Session
}

// shard holds its lock for a few lines and never across a call-out. The slices
// are replaced, never changed, so readers keep what they got.
type shard struct {
	mu    sync.RWMutex
	users map[jid.JID][]*session.Session // by bare address
	count int
}

// New makes an empty table.
func New() *Table {
	t := &Table{seed: maphash.MakeSeed(), resumable: map[string]*session.Session{}}
	for i := range t.shards {
		t.shards[i].users = map[jid.JID][]*session.Session{}
	}
	return t
}

func (t *Table) shard(bare jid.JID) *shard {
	return &t.shards[maphash.Comparable(t.seed, bare)%shards]
}

// Bind enters a session. With the policy `replace` it returns the session whose
// place it took, which the caller ends with <conflict/>; with `rename` the
// caller binds another resource after ErrConflict.
func (t *Table) Bind(s *session.Session, p Policy) (replaced *session.Session, err error) {
	bare := s.JID.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.users[bare]
	all := make([]*session.Session, 0, len(old)+1)
	for _, o := range old {
		if o.JID == s.JID {
			replaced = o
		} else {
			all = append(all, o)
		}
	}
	if replaced != nil && p.Conflict != "replace" && !replaced.Ended() {
		return nil, ErrConflict
	}
	if p.Max > 0 && len(all) >= p.Max {
		return nil, ErrTooMany
	}
	sh.users[bare] = append(all, s)
	sh.count += len(all) + 1 - len(old)
	return replaced, nil
}

// Remove takes a session out; it is false when it is not in, because another
// has taken its place.
func (t *Table) Remove(s *session.Session) bool {
	t.forgetResume(s)
	bare := s.JID.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old := sh.users[bare]
	i := slices.Index(old, s)
	if i < 0 {
		return false
	}
	sh.count--
	if len(old) == 1 {
		delete(sh.users, bare)
		return true
	}
	all := make([]*session.Session, 0, len(old)-1)
	sh.users[bare] = append(append(all, old[:i]...), old[i+1:]...)
	return true
}

// Sessions of an account; do not change the slice.
func (t *Table) Sessions(bare jid.JID) []*session.Session {
	sh := t.shard(bare)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[bare]
}

// Session with that full address; nil when there is none.
func (t *Table) Session(full jid.JID) *session.Session {
	for _, s := range t.Sessions(full.Bare()) {
		if s.JID == full {
			return s
		}
	}
	return nil
}

// Available lists the resources that an account shows to its contacts: those
// that have sent presence, whatever their priority.
func (t *Table) Available(bare jid.JID) []*session.Session {
	all := t.Sessions(bare)
	if len(all) == 1 && all[0].Presence() != nil {
		return all
	}
	var out []*session.Session
	for _, s := range all {
		if s.Presence() != nil {
			out = append(out, s)
		}
	}
	return out
}

// Count of sessions.
func (t *Table) Count() int {
	n := 0
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		n += sh.count
		sh.mu.RUnlock()
	}
	return n
}

// All sessions, in no order.
func (t *Table) All() []*session.Session {
	var all []*session.Session
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, list := range sh.users {
			all = append(all, list...)
		}
		sh.mu.RUnlock()
	}
	return all
}

// Resumable enters a session under its XEP-0198 id, unless it is over already.
func (t *Table) Resumable(id string, s *session.Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resumable[id] = s
	if s.Ended() { // Remove may have been here
		delete(t.resumable, id)
	}
}

// Resume finds the session of an id; nil when there is none for that account.
// The answer for somebody else's id is the same as for none.
func (t *Table) Resume(id string, bare jid.JID) *session.Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.resumable[id]; s != nil && s.JID.Bare() == bare {
		return s
	}
	return nil
}

func (t *Table) forgetResume(s *session.Session) {
	id := s.ManagedID()
	if id == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resumable[id] == s {
		delete(t.resumable, id)
	}
}
