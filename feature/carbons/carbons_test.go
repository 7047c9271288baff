package carbons

import (
	"bytes"
	"slices"
	"testing"

	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session"
	"chancery/core/session/sessiontest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

func TestCopyEmbedsTheMessageAsItIs(t *testing.T) {
	romeo := jid.MustParse("romeo@a.example")
	st := message(t, `type='chat' id='1' xml:lang='it'`, `<body>ciao</body><x xmlns='urn:x'><y/></x>`)
	mark := []byte(`<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@a.example' id='5'/>`)
	got := string(wrap(st, "received", romeo, mark).Addressed(jid.MustParse("romeo@a.example/desk")).Append(nil, ""))
	want := `<message from='romeo@a.example' to='romeo@a.example/desk' type='chat'>` +
		`<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>` +
		`<message xmlns='jabber:client' from='juliet@b.example/balcony' to='romeo@a.example/phone' id='1' type='chat' xml:lang='it'>` +
		`<body>ciao</body><x xmlns='urn:x'><y/></x>` + string(mark) + `</message></forwarded></received></message>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEnableAndDisable(t *testing.T) {
	c, phone := New(nil), sessiontest.New("romeo@a.example/phone", 7)
	for _, step := range []struct {
		command string
		want    bool
	}{{"enable", true}, {"enable", true}, {"disable", false}, {"disable", false}, {"enable", true}} {
		if _, err := routetest.Ask(t, c.Module(), route.OwnAccount, routetest.Own(phone.Session), "set", "<"+step.command+" xmlns='urn:xmpp:carbons:2'/>"); err != nil {
			t.Fatal(err)
		}
		if got := phone.Wants(session.Copies); got != step.want {
			t.Errorf("after %s copies are wanted: %v", step.command, got)
		}
	}
}

func TestWhoGetsCopies(t *testing.T) {
	phone, desk, hall, plain := sessiontest.New("romeo@a.example/phone", 7), sessiontest.New("romeo@a.example/desk", 7), sessiontest.New("romeo@a.example/hall", 7), sessiontest.New("romeo@a.example/plain", 7)
	for _, c := range []*sessiontest.Client{phone, desk, hall} {
		c.SetWant(session.Copies, true)
	}
	c := New(sessiontest.Online(t, phone, desk, hall, plain))
	got := c.wanting(jid.MustParse("romeo@a.example"), func(s *session.Session) bool { return s == phone.Session })
	if !slices.Equal(got, []*session.Session{desk.Session, hall.Session}) {
		t.Errorf("%d sessions get copies, want desk and hall", len(got))
	}
}

// XEP-0280 recommended-rules: a private message into a room is copied to the clients that are
// in the room under the same nick.
func TestRoomMessageIsCopiedToThoseInTheRoom(t *testing.T) {
	phone, desk, hall := sessiontest.New("romeo@a.example/phone", 7), sessiontest.New("romeo@a.example/desk", 7), sessiontest.New("romeo@a.example/hall", 7)
	others := []*session.Session{desk.Session, hall.Session}
	st := message(t, `type='chat'`, `<body>x</body>`).Addressed(jid.MustParse("room@c.example/juliet"))
	transit := &route.Transit{Stanza: st, Origin: phone.Session}
	if got := sharing(others, transit); len(got) != 2 {
		t.Errorf("while nobody is known to be in the room %d get copies, want all", len(got))
	}
	phone.Direct(jid.MustParse("room@c.example/romeo"), 10)
	hall.Direct(jid.MustParse("room@c.example/romeo"), 10)
	desk.Direct(jid.MustParse("room@c.example/other"), 10)
	if got := sharing(others, transit); !slices.Equal(got, []*session.Session{hall.Session}) {
		t.Errorf("%d get copies, want the hall alone", len(got))
	}
}

// Whatever message comes, the copy of it is well-formed and holds it unchanged.
func FuzzCopy(f *testing.F) {
	for _, s := range []string{
		`<message xmlns='jabber:client' from='a@b/c' to='d@e' type='chat'><body>&lt;&amp;&#xD;</body></message>`,
		`<message xmlns='jabber:client'><x xmlns='urn:x' y="'"><z xmlns='jabber:client'/></x></message>`,
		`<message xmlns='jabber:client' xml:lang='en' id='&apos;'/>`,
		`<message xmlns='jabber:client'><sent xmlns='urn:xmpp:carbons:2'/></message>`,
	} {
		f.Add([]byte(s))
	}
	owner := jid.MustParse("romeo@a.example")
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := stanza.Parse(b)
		if err != nil || st.Kind != stanza.Message {
			return
		}
		out := wrap(st, "sent", owner, nil).Append(nil, stanza.NSClient)
		again, err := stanza.Parse(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, out, err)
		}
		inner := again.Find(NS, "sent").Child(nsForward, "forwarded").Child(stanza.NSClient, "message")
		if inner == nil || !bytes.Contains(out, st.Append(nil, stanza.NSClient)) {
			t.Fatalf("%q does not hold %q", out, b)
		}
		if want, err := elem.Parse(st.Append(nil, stanza.NSClient), ""); err != nil || string(inner.Append(nil, "")) != string(want.Append(nil, "")) {
			t.Fatalf("%q holds %q, want %q (%v)", out, inner.Append(nil, ""), want.Append(nil, ""), err)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	st, err := stanza.Parse([]byte(`<message xmlns='jabber:client' from='juliet@b.example/balcony' to='romeo@a.example/phone' id='1234' type='chat'><body>What man art thou that, thus bescreen'd in night, so stumblest on my counsel?</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>`))
	if err != nil {
		b.Fatal(err)
	}
	owner := jid.MustParse("romeo@a.example")
	b.ReportAllocs()
	for b.Loop() {
		wrap(st, "received", owner, nil)
	}
}
