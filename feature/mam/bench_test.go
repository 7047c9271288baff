package mam

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// benchWorld has n accounts.
func benchWorld(b *testing.B, n int) (*world, []account.Account) {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("user%d", i)
	}
	w := newWorld(b, storetest.SQLite(b), names...)
	all := make([]account.Account, n)
	for i, name := range names {
		all[i] = w.account(name)
	}
	return w, all
}

// exchange archives n messages between accounts, each with one of 20 others.
func (w *world) exchange(all []account.Account, n int) {
	pad := strings.Repeat("x", 64)
	random := rand.New(rand.NewPCG(1, 2))
	for range n {
		i := random.IntN(len(all))
		a, c := all[i], all[(i+1+random.IntN(20))%len(all)]
		from, _ := a.JID.WithResource("phone")
		st := stanza.New(stanza.Message, "chat", elem.New(stanza.NSClient, "body").SetText(pad))
		st.From, st.To, st.ID = from, c.JID, "m1"
		tr := &route.Transit{Stanza: st, Sender: &a, Recipient: &c}
		if err := errors.Join(w.mam.Sent(w.t.Context(), tr), w.mam.Received(w.t.Context(), tr)); err != nil {
			w.t.Fatal(err)
		}
		w.db.Append(tr.Kept(), func(err error) {
			if err != nil {
				w.t.Error(err)
				return
			}
			w.mam.tail.enter(tr.Kept()[0].Values)
		})
	}
}

// BenchmarkAppend is all that the archive costs a message between two users of
// ours: the decision, the marks, the rows in a shared commit, and its share of
// the indexing. Ceiling: 35 µs of CPU with 100 users and with 10,000
// (docs/adr/0003-archive-schema.md has 20 µs with hand-made rows).
func BenchmarkAppend(b *testing.B) {
	for _, users := range []int{100, 10_000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			w, all := benchWorld(b, users)
			ctx, stop := context.WithCancel(b.Context())
			var run sync.WaitGroup
			run.Go(func() { w.mam.Run(ctx) })
			b.ReportAllocs()
			b.ResetTimer()
			w.exchange(all, b.N)
			w.settle()
			if err := w.mam.index(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			stop()
			run.Wait()
		})
	}
}

// BenchmarkDecide is the part of it that runs before the commit.
func BenchmarkDecide(b *testing.B) {
	w, all := benchWorld(b, 2)
	st := stanza.New(stanza.Message, "chat", elem.New(stanza.NSClient, "body").SetText(strings.Repeat("x", 64)))
	st.From, st.To = jid.MustParse(all[0].JID.String()+"/phone"), all[1].JID
	b.ReportAllocs()
	for b.Loop() {
		tr := &route.Transit{Stanza: st, Sender: &all[0], Recipient: &all[1]}
		if err := errors.Join(w.mam.Sent(b.Context(), tr), w.mam.Received(b.Context(), tr)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPage is a page of 50 results, rendered, from archives of different
// sizes. Ceiling: 0.5 ms, and the same for all sizes.
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		w, all := benchWorld(b, 40)
		w.exchange(all, n*20) // each message is in two archives
		w.settle()
		if err := w.mam.index(b.Context()); err != nil {
			b.Fatal(err)
		}
		for _, c := range []struct{ name, inner string }{
			{"last", set("<max>50</max><before/>")},
			{"first", set("<max>50</max>")},
			{"with", fields("with", all[1].JID.String()) + set("<max>50</max><before/>")},
			{"middle", fields("start", store.IDTime(middle(b, w, all[0].ID, n/3)).Format(time.RFC3339Nano)) + set("<max>50</max>")},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				payload, err := elem.Parse([]byte("<query xmlns='urn:xmpp:mam:2' queryid='1'>"+c.inner+"</query>"), "jabber:client")
				if err != nil {
					b.Fatal(err)
				}
				results := 0
				q := &route.Query{Stanza: &stanza.Stanza{}, Payload: payload, Account: all[0], Reply: func(*stanza.Stanza) { results++ }}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := w.mam.answer(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
				if results != 50*b.N {
					b.Error(results, "results")
				}
			})
		}
	}
}

// middle is the n-th id of an archive.
func middle(b *testing.B, w *world, owner int64, n int) (id int64) {
	if err := w.db.Read().QueryRow(b.Context(), `SELECT id FROM archive WHERE owner = ? ORDER BY id LIMIT 1 OFFSET ?`, owner, n).Scan(&id); err != nil {
		b.Fatal(err)
	}
	return id
}
