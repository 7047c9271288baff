package roster

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }
func (sink) End([]byte, *stream.Error)   {}
func (sink) Cut()                        {}

// contacts gives romeo that many with a subscription of both kinds, all at once.
func contacts(b *testing.B, r *Rosters, n int) []jid.JID {
	b.Helper()
	var all []jid.JID
	err := r.db.Write(b.Context(), func(tx store.Tx) error {
		for i := range n {
			i := Item{JID: jid.MustParse(fmt.Sprintf("contact%d@a.example", i)), Listed: true, To: true, From: true, Name: fmt.Sprint("Contact ", i), Groups: []string{"Friends"}}
			all = append(all, i.JID)
			if err := save(b.Context(), tx, owner.ID, i, 1); err != nil {
				return err
			}
		}
		return setVersion(b.Context(), tx, owner.ID, 1)
	})
	if err != nil {
		b.Fatal(err)
	}
	return all
}

// BenchmarkPresence broadcasts a change of presence to contacts who are online.
func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{20, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, storetest.SQLite(b))
			env := &session.Env{Settings: settings.Fixed(settings.Defaults()), Log: slog.New(slog.DiscardHandler)}
			phone := session.New(env, "p", jid.MustParse("romeo@a.example/phone"), owner.ID, sink{}, session.Facts{})
			for i, c := range contacts(b, w.rosters, n) {
				full, _ := c.WithResource("x")
				s := session.New(env, "c", full, int64(100+i), sink{}, session.Facts{})
				w.online.Bind(s, online.Policy{})
				s.SetPresence(&session.Presence{Stanza: &stanza.Stanza{Kind: stanza.Presence, From: full}})
			}
			st, err := stanza.Parse([]byte("<presence xmlns='jabber:client'><show>away</show><status>under the balcony</status></presence>"))
			if err != nil {
				b.Fatal(err)
			}
			st.From = phone.JID
			t := &route.Transit{Stanza: st, Origin: phone, Sender: &account.Account{ID: owner.ID, JID: romeo}}
			phone.SetPresence(&session.Presence{Stanza: st})
			b.ReportAllocs()
			for b.Loop() {
				if err := w.presences.Outbound(context.Background(), t); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/contact")
		})
	}
}

// BenchmarkGet answers a roster query from memory, and from disk.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{20, 1000} {
		for _, from := range []string{"memory", "disk"} {
			b.Run(fmt.Sprint(n, " from ", from), func(b *testing.B) {
				w := newWorld(b, storetest.SQLite(b))
				contacts(b, w.rosters, n)
				phone := sessiontest.New("romeo@a.example/phone", owner.ID)
				q := &route.Query{Stanza: &stanza.Stanza{Kind: stanza.IQ, ID: "1", From: phone.JID}, Payload: elemQuery(), Session: phone.Session, Account: owner}
				b.ReportAllocs()
				for b.Loop() {
					if from == "disk" {
						w.rosters.cache.Clear()
					}
					answer, err := w.rosters.get(b.Context(), q)
					if err != nil {
						b.Fatal(err)
					}
					q.Result(answer)
				}
			})
		}
	}
}
