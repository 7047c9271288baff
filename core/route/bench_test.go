package route

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// sink is a client that reads at once.
type sink struct{}

func (sink) Write(p []byte) (int, error) { return len(p), nil }
func (sink) End([]byte, *stream.Error)   {}
func (sink) Cut()                        {}

type nothing struct{}

func (nothing) Serves(string) bool { return true }
func (nothing) Find(context.Context, jid.JID) (account.Account, error) {
	return account.Account{}, store.ErrNone
}
func (nothing) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return false, nil }
func (nothing) Sent(context.Context, *Transit) error                           { return nil }
func (nothing) Received(context.Context, *Transit) error                       { return nil }
func (nothing) Keep(context.Context, *Transit) error                           { return nil }
func (nothing) Arriving(*session.Session)                                      {}
func (nothing) Behind(*session.Session) bool                                   { return false }
func (nothing) Arrived(context.Context, *session.Session)                      {}
func (nothing) Forward(context.Context, *Transit) error                        { return nil }

func benchRouter(db *store.DB) (*Router, *session.Env) {
	log := slog.New(slog.DiscardHandler)
	env := &session.Env{DB: db, Settings: settings.Fixed(settings.Defaults()), Log: log, Ended: func(*session.Session, []session.Entry) {}}
	return &Router{
		Log: log, DB: db, Online: online.New(), Hosts: nothing{}, Accounts: nothing{}, Block: nothing{}, Archive: nothing{}, Copies: noCopies{},
		Absent: nothing{}, Presence: presences{}, Remote: nothing{}, Answers: NewTable(), Forged: func(elem.Part) bool { return false }, Context: context.Background(),
	}, env
}

// pair is romeo's session and juliet's.
func pair(b *testing.B, db *store.DB, managed, resume bool) (r *Router, from, to *session.Session) {
	r, env := benchRouter(db)
	from = session.New(env, "1", jid.MustParse("romeo@a.example/phone"), 1, sink{}, session.Facts{})
	to = session.New(env, "2", jid.MustParse("juliet@a.example/balcony"), 2, sink{}, session.Facts{})
	for _, s := range []*session.Session{from, to} {
		r.Online.Bind(s, online.Policy{})
		s.SetPresence(&session.Presence{Stanza: stanza.New(stanza.Presence, "")})
		if managed {
			if err := s.Enable(b.Context(), resume); err != nil {
				b.Fatal(err)
			}
		}
	}
	return r, from, to
}

// chatting sends message after message, with a window.
func chatting(b *testing.B, r *Router, from, to *session.Session, window uint32) {
	const text = "<message xmlns='jabber:client' to='juliet@a.example' type='chat' id='1'><body>But soft, what light through yonder window breaks?</body></message>"
	st, err := stanza.Parse([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	st.From = from.JID
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		st := *st // as a reader makes one for each
		from.Take(sink{}, &st, false)
		r.Handle(b.Context(), from, &st)
		if n++; n%window == 0 {
			from.Drain()
			for to.Status().Waiting > 0 {
				runtime.Gosched()
			}
			to.Ack(n)
		}
	}
	if from.Ended() || to.Ended() {
		b.Fatal("a session has ended")
	}
}

// BenchmarkChat routes a message from the reader of one session to the outbox of
// another and writes it, without an archive.
func BenchmarkChat(b *testing.B) {
	for _, window := range []uint32{1, 8, 64} {
		for _, managed := range []bool{false, true} {
			b.Run(fmt.Sprintf("window %d, acknowledged %v", window, managed), func(b *testing.B) {
				r, from, to := pair(b, nil, managed, false)
				chatting(b, r, from, to, window)
			})
		}
	}
}

// BenchmarkDurableChat is BenchmarkChat between sessions that can be resumed: a
// counter, a row in, a row out.
func BenchmarkDurableChat(b *testing.B) {
	r, from, to := pair(b, storetest.SQLite(b), true, true)
	chatting(b, r, from, to, 256)
}
