package mam

import (
	"cmp"
	"context"
	"slices"

	"chancery/store"
)

// step is how many rows of an index are written in one transaction: a few
// milliseconds for those whose messages wait behind it.
const step = 512

// pair is a row of one of the index tables.
type pair struct{ key, id int64 }

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
}

// index moves the tail into the index tables. Sorted, many rows go to the same
// page, which is what makes it cheap. It may be cut short at any place: the
// messages stay in the tail until all is done, and what is in the index already
// is not minded.
func (m *MAM) index(ctx context.Context) error {
	if m.tail == nil {
		return nil
	}
	var owners, conversations []pair
	var ids []int64
	for owner, list := range m.tail.take() {
		for _, e := range list {
			owners = append(owners, pair{owner, e.id})
			conversations = append(conversations, pair{e.conversation, e.id})
			ids = append(ids, e.id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := m.steps(ctx, owners, insertOwners); err != nil {
		return err
	}
	if err := m.steps(ctx, conversations, insertConversations); err != nil {
		return err
	}
	for part := range slices.Chunk(ids, step) {
		err := m.db.Write(ctx, func(tx store.Tx) error { return deleteIDs(ctx, tx, "archive_tail", part) })
		if err != nil {
			return err
		}
	}
	m.tail.settled()
	return nil
}

// steps does something with sorted pairs, a transaction for every few.
func (m *MAM) steps(ctx context.Context, pairs []pair, do func(context.Context, store.Tx, []pair) error) error {
	slices.SortFunc(pairs, comparePairs)
	pairs = slices.Compact(pairs)
	for part := range slices.Chunk(pairs, step) {
		if err := m.db.Write(ctx, func(tx store.Tx) error { return do(ctx, tx, part) }); err != nil {
			return err
		}
	}
	return nil
}
