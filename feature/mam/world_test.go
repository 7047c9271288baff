package mam

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"chancery/core/account"
	"chancery/core/host"
	"chancery/core/online"
	"chancery/core/route"
	"chancery/core/session"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/rsm"
	"chancery/xmpp/stanza"
	"chancery/xmpp/stream"
)

// world is a router with the archive in it, some accounts, and their sessions.
type world struct {
	t        testing.TB
	db       *store.DB
	settings *settings.Settings // change before use only
	live     *settings.Live
	mam      *MAM
	router   *route.Router
	env      *session.Env
	people   people
	friends  friends
}

// people are the accounts.
type people map[jid.JID]account.Account

func (p people) Find(_ context.Context, bare jid.JID) (account.Account, error) {
	if a, ok := p[bare]; ok {
		return a, nil
	}
	return account.Account{}, store.ErrNone
}

// friends are who stands in whose roster.
type friends map[[2]jid.JID]bool

func (f friends) Knows(_ context.Context, owner account.Account, other jid.JID) (bool, error) {
	return f[[2]jid.JID{owner.JID, other}], nil
}

// nothing is the stages that do not matter here.
type nothing struct{}

func (nothing) Blocks(context.Context, account.Account, jid.JID) (bool, error) { return false, nil }
func (nothing) Sent(context.Context, *route.Transit)                           {}
func (nothing) Received(context.Context, *route.Transit, []*session.Session)   {}
func (nothing) Keep(context.Context, *route.Transit) error                     { return nil }
func (nothing) Arriving(*session.Session)                                      {}
func (nothing) Behind(*session.Session) bool                                   { return false }
func (nothing) Arrived(context.Context, *session.Session)                      {}
func (nothing) Forward(context.Context, *route.Transit) error                  { return nil }

type hosts struct{ *host.Hosts }

func (h hosts) Serves(domain string) bool { return h.Load().Serves(domain) }

// wire collects what a session writes.
type wire struct {
	mu  sync.Mutex
	out strings.Builder
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
func (w *wire) End([]byte, *stream.Error) {}
func (w *wire) Cut()                      {}

func newWorld(t testing.TB, db *store.DB, names ...string) *world {
	set := settings.Defaults()
	w := &world{t: t, db: db, settings: set, live: settings.Fixed(set), people: people{}, friends: friends{}}
	for i, n := range names {
		j := jid.MustParse(n + "@a.example")
		w.people[j] = account.Account{ID: int64(1000 + i), JID: j}
	}
	w.open()
	return w
}

// open starts the archive anew, as a restart would.
func (w *world) open() {
	m, err := Open(w.t.Context(), w.db, w.live, w.friends, storetest.Log(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	w.mam = m
	w.env = &session.Env{DB: w.db, Settings: w.live, Log: storetest.Log(w.t), Ended: func(*session.Session, []session.Entry) {}}
	w.router = &route.Router{
		Log: storetest.Log(w.t), DB: w.db, Online: online.New(), Hosts: hosts{host.Fixed("a.example")}, Accounts: w.people,
		Answers: route.NewTable(m.Module()), Block: nothing{}, Archive: m, Copies: nothing{}, Absent: nothing{}, Remote: nothing{},
		Forged: func(elem.Part) bool { return false }, Context: context.Background(),
	}
}

func parse(t testing.TB, xml string) *stanza.Stanza {
	t.Helper()
	st, err := stanza.Parse([]byte(xml))
	if err != nil {
		t.Fatalf("%s: %v", xml, err)
	}
	return st
}

// account by its local name.
func (w *world) account(name string) account.Account {
	a, ok := w.people[jid.MustParse(name+"@a.example")]
	if !ok {
		w.t.Fatal("nobody is called", name)
	}
	return a
}

// settle waits until everything that was submitted is durable and told.
func (w *world) settle() {
	w.t.Helper()
	done := make(chan error)
	w.db.Append(nil, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

// send is a message of a client, `romeo/phone`, to an address.
func (w *world) send(from, to, inner string) {
	w.t.Helper()
	w.sendType(from, to, "chat", inner)
}

func (w *world) sendType(from, to, typ, inner string) {
	w.t.Helper()
	local, resource, _ := strings.Cut(from, "/")
	a := w.account(local)
	full, err := a.JID.WithResource(resource)
	if err != nil {
		w.t.Fatal(err)
	}
	wire := &wire{}
	s := session.New(w.env, "test", full, a.ID, wire, session.Facts{})
	st := parse(w.t, fmt.Sprintf("<message xmlns='jabber:client' from='%s' to='%s' type='%s' id='x'>%s</message>", full, to, typ, inner))
	s.Take(wire, st, false)
	w.router.Handle(w.t.Context(), s, st)
}

// arrives is a message from another server.
func (w *world) arrives(from, to, inner string) {
	w.t.Helper()
	w.router.Route(w.t.Context(), parse(w.t, fmt.Sprintf("<message xmlns='jabber:client' from='%s' to='%s' type='chat'>%s</message>", from, to, inner)))
}

// page is an answer to a query.
type page struct {
	results []*elem.Node // <result/>
	fin     *elem.Node
}

// ask sends a payload as name and waits for the answer.
func (w *world) ask(name, typ, payload string) (page, error) {
	w.t.Helper()
	w.settle()
	a := w.account(name)
	n, err := elem.Parse([]byte(payload), "jabber:client")
	if err != nil {
		w.t.Fatalf("%s: %v", payload, err)
	}
	var p page
	q := &route.Query{
		Stanza:  &stanza.Stanza{Kind: stanza.IQ, Type: typ, ID: "q", From: jid.MustParse(a.JID.String() + "/asks")},
		Payload: n, Account: a,
		Reply: func(st *stanza.Stanza) {
			if st.From != a.JID || st.To.String() != a.JID.String()+"/asks" {
				w.t.Errorf("a result goes from %s to %s", st.From, st.To)
			}
			p.results = append(p.results, st.Find(NS, "result"))
		},
	}
	handlers := map[string]route.Handler{}
	for _, iq := range w.mam.Module().IQ {
		handlers[iq.Type+iq.Payload.Local] = iq.Do
	}
	p.fin, err = handlers[typ+n.Name.Local](w.t.Context(), q)
	return p, err
}

// query asks and expects success.
func (w *world) query(name, inner string) page {
	w.t.Helper()
	p, err := w.ask(name, "set", "<query xmlns='urn:xmpp:mam:2' queryid='f27'>"+inner+"</query>")
	if err != nil {
		w.t.Fatalf("%s: %v", inner, err)
	}
	return p
}

// fields is a submitted form, given as name, value, name, value.
func fields(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<field var='%s'><value>%s</value></field>", pairs[i], pairs[i+1])
	}
	return b.String() + "</x>"
}

func set(inner string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + inner + "</set>"
}

// bodies of the results, in the order they came.
func (p page) bodies() string {
	var out []string
	for _, r := range p.results {
		msg := r.Child("urn:xmpp:forward:0", "forwarded").Child("jabber:client", "message")
		if b := msg.Child("jabber:client", "body"); b != nil {
			out = append(out, b.Text)
		} else {
			out = append(out, "("+msg.Children[0].Name.Local+")")
		}
	}
	return strings.Join(out, " ")
}

func (p page) id(i int) string { return p.results[i].Attr("id") }

func (p page) complete() bool { return p.fin.Attr("complete") == "true" }

func (p page) set(child string) string {
	if n := p.fin.Child(rsm.NS, "set").Child(rsm.NS, child); n != nil {
		return n.Text
	}
	return ""
}

func body(text string) string { return "<body>" + text + "</body>" }

// want compares the bodies of a page.
func (w *world) want(p page, bodies string, complete bool) {
	w.t.Helper()
	if got := p.bodies(); got != bodies || p.complete() != complete {
		w.t.Errorf("got %q complete=%v, want %q complete=%v", got, p.complete(), bodies, complete)
	}
}
