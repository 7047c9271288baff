package mam

import (
	"cmp"
	"slices"
	"sync"
)

// tail knows the messages that are durable but not in the index tables yet, by
// owner. It is in memory only; after a start it is read from archive_tail. A nil
// tail is always empty: PostgreSQL indexes at once.
type tail struct {
	enough int           // messages that are worth a pass
	wake   chan struct{} // to Run: that many have gathered

	mu     sync.Mutex
	fresh  map[int64][]entry
	moving map[int64][]entry // on their way into the index, until all of them are there
	count  int               // messages in fresh
}

// entry is a message in somebody's tail.
type entry struct{ id, conversation int64 }

// enough is how many messages are indexed together: the more, the more of them
// share a page of the index (docs/adr/0003-archive-schema.md).
const enough = 16384

func newTail() *tail {
	return &tail{enough: enough, wake: make(chan struct{}, 1), fresh: map[int64][]entry{}}
}

// add enters a message that was committed, for each of its owners.
func (t *tail) add(e entry, owners ...int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	for _, o := range owners {
		t.fresh[o] = insert(t.fresh[o], e)
	}
	t.count++
	full := t.count >= t.enough
	t.mu.Unlock()
	if full {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// enter adds a row that was committed.
func (t *tail) enter(row []any) {
	e := entry{row[colID].(int64), row[colConversation].(int64)}
	owners := make([]int64, 0, 2)
	for _, o := range row[colSender : colRecipient+1] {
		if o != nil {
			owners = append(owners, o.(int64))
		}
	}
	t.add(e, owners...)
}

// insert keeps the list sorted; nearly always the newest comes last.
func insert(list []entry, e entry) []entry {
	i := len(list)
	for i > 0 && list[i-1].id > e.id {
		i--
	}
	return slices.Insert(list, i, e)
}

// find lists the messages of a search that are in the tail, oldest first, at
// most s.limit from the end where the search begins.
func (t *tail) find(s search) []int64 {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := s.pick(t.moving[s.owner], nil)
	ids = s.pick(t.fresh[s.owner], ids)
	slices.Sort(ids)
	return s.cut(ids)
}

// pick appends what a sorted list has for the search.
func (s search) pick(list []entry, ids []int64) []int64 {
	from, _ := slices.BinarySearchFunc(list, s.after+1, byID)
	to, _ := slices.BinarySearchFunc(list, s.before, byID)
	list = list[from:max(from, to)]
	n := 0
	for i := range list {
		e := list[i]
		if s.backwards {
			e = list[len(list)-1-i]
		}
		if s.conversations != nil && e.conversation != s.conversations[0] && e.conversation != s.conversations[1] {
			continue
		}
		if n == s.limit {
			break
		}
		ids = append(ids, e.id)
		n++
	}
	return ids
}

func byID(e entry, id int64) int { return cmp.Compare(e.id, id) }

// full tells whether it is time to index.
func (t *tail) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count >= t.enough || t.moving != nil
}

// take gives all that is to be indexed. What was taken before and is not settled
// comes first.
func (t *tail) take() map[int64][]entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moving == nil {
		t.moving, t.fresh, t.count = t.fresh, map[int64][]entry{}, 0
	}
	return t.moving
}

// settled forgets what was taken: it is in the index.
func (t *tail) settled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moving = nil
}

// forget drops messages that were deleted.
func (t *tail) forget(gone []message) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range gone {
		for _, owner := range m.owners() {
			if i, ok := slices.BinarySearchFunc(t.fresh[owner], m.id, byID); ok {
				t.fresh[owner] = slices.Delete(t.fresh[owner], i, i+1)
			}
			if len(t.fresh[owner]) == 0 {
				delete(t.fresh, owner)
			}
		}
	}
}
