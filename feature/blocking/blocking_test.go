package blocking

import (
	"context"
	"slices"
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/online"
	"chancery/core/roster"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const (
	romeoID = 7
	ns      = "xmlns='urn:xmpp:blocking'"
)

var romeo = account.Account{ID: romeoID, JID: jid.MustParse("romeo@a.example")}

// outgoing keeps what the server sends on behalf of users.
type outgoing []string

func (o *outgoing) Route(_ context.Context, st *stanza.Stanza) {
	*o = append(*o, string(st.Append(nil, "")))
}

func (o *outgoing) take() []string {
	all := *o
	*o = nil
	slices.Sort(all)
	return all
}

func newBlocking(t *testing.T, db *store.DB, table *online.Table) (*Blocking, *outgoing) {
	live, sent := settings.Fixed(settings.Defaults()), new(outgoing)
	return New(db, live, roster.New(db, live, table), table, sent, storetest.Log(t)), sent
}

func befriend(t *testing.T, db *store.DB, contact, subscription string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO roster_item (account, contact, name, subscription, ask, approved, groups, version) VALUES (?, ?, '', ?, 0, 0, '[]', 1)`,
			romeoID, contact, subscription)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func items2xml(jids ...string) string {
	var b strings.Builder
	for _, j := range jids {
		b.WriteString("<item jid='" + j + "'/>")
	}
	return b.String()
}

func TestListIsKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		phone := sessiontest.New("romeo@a.example/phone", romeoID)
		b, _ := newBlocking(t, db, sessiontest.Online(t, phone))
		own := routetest.Own(phone.Session)
		list := func(want ...string) {
			t.Helper()
			got, err := routetest.Ask(t, b.Module(), route.OwnAccount, own, "get", "<blocklist "+ns+"/>")
			expect := "<blocklist " + ns + "/>"
			if len(want) > 0 {
				expect = "<blocklist " + ns + ">" + items2xml(want...) + "</blocklist>"
			}
			if err != nil || got != expect {
				t.Fatalf("the list is %s, %v\nwant        %s", got, err, expect)
			}
		}
		do := func(command string, jids ...string) {
			t.Helper()
			if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, own, "set", "<"+command+" "+ns+">"+items2xml(jids...)+"</"+command+">"); err != nil {
				t.Fatal(err)
			}
		}
		list()
		do("block", "juliet@b.example", "c.example")
		list("c.example", "juliet@b.example")
		do("block", "juliet@b.example", "JULIET@b.example", "d.example/x")
		list("c.example", "d.example/x", "juliet@b.example")
		do("unblock", "juliet@b.example", "never@b.example")
		list("c.example", "d.example/x")

		again, _ := newBlocking(t, db, online.New()) // as after a restart
		if blocked, err := again.Blocks(t.Context(), romeo, jid.MustParse("tybalt@c.example")); !blocked || err != nil {
			t.Errorf("after a restart nobody is blocked: %v", err)
		}
		do("unblock")
		list()

		do("block", "juliet@b.example")
		if err := db.Write(t.Context(), func(tx store.Tx) error { return b.Module().Forget(t.Context(), tx, romeo) }); err != nil {
			t.Fatal(err)
		}
		list()
	})
}

func TestOwnAccountAndServerAreNeverBlocked(t *testing.T) {
	db := storetest.SQLite(t)
	phone := sessiontest.New("romeo@a.example/phone", romeoID)
	b, _ := newBlocking(t, db, sessiontest.Online(t, phone))
	_, err := routetest.Ask(t, b.Module(), route.OwnAccount, routetest.Own(phone.Session), "set", "<block "+ns+">"+items2xml("romeo@a.example", "a.example")+"</block>")
	if err != nil {
		t.Fatal(err)
	}
	for other, want := range map[string]bool{
		"romeo@a.example/desk": false, "romeo@a.example": false, "a.example": false, "nurse@a.example": true, "a.example/x": true,
	} {
		if got, err := b.Blocks(t.Context(), romeo, jid.MustParse(other)); got != want || err != nil {
			t.Errorf("%s is blocked: %v, %v, want %v", other, got, err, want)
		}
	}
}

func TestWrongCommandsAreRefused(t *testing.T) {
	db := storetest.SQLite(t)
	phone := sessiontest.New("romeo@a.example/phone", romeoID)
	b, _ := newBlocking(t, db, sessiontest.Online(t, phone))
	s := settings.Defaults()
	s.Blocking.Contacts = 2
	b.settings = settings.Fixed(s)
	own := routetest.Own(phone.Session)
	if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, own, "set", "<block "+ns+">"+items2xml("kept@b.example")+"</block>"); err != nil {
		t.Fatal(err)
	}
	for payload, condition := range map[string]string{
		"<block " + ns + "/>":                                                          stanza.BadRequest,
		"<block " + ns + "><item/></block>":                                            stanza.BadRequest,
		"<block " + ns + "><item jid=''/></block>":                                     stanza.BadRequest,
		"<block " + ns + "><item jid='@'/></block>":                                    stanza.JIDMalformed,
		"<unblock " + ns + "><item jid='a@b@c'/></unblock>":                            stanza.JIDMalformed,
		"<unblock " + ns + "><jid>kept@b.example</jid></unblock>":                      stanza.BadRequest,
		"<unblock " + ns + "><item xmlns='urn:other' jid='kept@b.example'/></unblock>": stanza.BadRequest,
		"<block " + ns + ">" + items2xml("1@b.example", "2@b.example") + "</block>":    stanza.PolicyViolation,
	} {
		if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, own, "set", payload); !routetest.Refused(err, condition) {
			t.Errorf("%s: %v, want %s", payload, err, condition)
		}
	}
	if l, err := b.of(t.Context(), romeoID); len(l) != 1 || err != nil {
		t.Errorf("what was refused has changed the list to %v, %v", l, err)
	}
}

func TestInterestedSessionsArePushedChanges(t *testing.T) {
	db := storetest.SQLite(t)
	phone, desk, hall := sessiontest.New("romeo@a.example/phone", romeoID), sessiontest.New("romeo@a.example/desk", romeoID), sessiontest.New("romeo@a.example/hall", romeoID)
	b, _ := newBlocking(t, db, sessiontest.Online(t, phone, desk, hall))
	for _, c := range []*sessiontest.Client{phone, desk} {
		if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, routetest.Own(c.Session), "get", "<blocklist "+ns+"/>"); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{
		"<block " + ns + ">" + items2xml("juliet@b.example", "c.example") + "</block>",
		"<unblock " + ns + ">" + items2xml("c.example") + "</unblock>",
		"<unblock " + ns + "/>",
	} {
		if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, routetest.Own(phone.Session), "set", command); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*sessiontest.Client{phone, desk} {
			got := c.Got(t)
			if !strings.HasPrefix(got, "<iq from='romeo@a.example' to='"+c.JID.String()+"' id='") || !strings.HasSuffix(got, " type='set'>"+command+"</iq>") {
				t.Errorf("%s was pushed %s, want %s", c.JID, got, command)
			}
		}
		if got := hall.Got(t); got != "" {
			t.Errorf("who has not asked was pushed %s", got)
		}
	}
}

func TestPresenceFollowsTheList(t *testing.T) {
	db := storetest.SQLite(t)
	befriend(t, db, "juliet@b.example", "both")
	befriend(t, db, "nurse@b.example", "from")
	befriend(t, db, "tybalt@b.example", "to")
	phone, hidden := sessiontest.New("romeo@a.example/phone", romeoID).Appear(), sessiontest.New("romeo@a.example/hidden", romeoID)
	phone.Direct(jid.MustParse("room@b.example/romeo"), 10)
	phone.Direct(jid.MustParse("friar@c.example"), 10)
	hidden.Direct(jid.MustParse("juliet@b.example"), 10)
	b, sent := newBlocking(t, db, sessiontest.Online(t, phone, hidden))
	step := func(command, jid string, want ...string) {
		t.Helper()
		if _, err := routetest.Ask(t, b.Module(), route.OwnAccount, routetest.Own(phone.Session), "set", "<"+command+" "+ns+">"+items2xml(jid)+"</"+command+">"); err != nil {
			t.Fatal(err)
		}
		if got := sent.take(); !slices.Equal(got, want) {
			t.Errorf("%s %s: sent\n%s\nwant\n%s", command, jid, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	const gone = "' type='unavailable'/>"
	step("block", "nurse@b.example", "<presence from='romeo@a.example/phone' to='nurse@b.example"+gone)
	step("block", "nurse@b.example") // blocked already
	step("block", "b.example",       // the nurse knows; a directed presence counts even from a hidden resource
		"<presence from='romeo@a.example/hidden' to='juliet@b.example"+gone,
		"<presence from='romeo@a.example/phone' to='juliet@b.example"+gone,
		"<presence from='romeo@a.example/phone' to='room@b.example/romeo"+gone)
	step("unblock", "b.example", "<presence from='romeo@a.example/phone' to='juliet@b.example'/>") // the nurse stays blocked
	step("unblock", "nurse@b.example", "<presence from='romeo@a.example/phone' to='nurse@b.example'/>")
	if !phone.KnowsDirectly(jid.MustParse("friar@c.example")) || phone.KnowsDirectly(jid.MustParse("room@b.example/romeo")) {
		t.Error("directed presence is remembered wrongly")
	}
}
