package mam

import (
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/settings"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

func testKeys(t testing.TB) *keys {
	k, err := newKeys([]byte(strings.Repeat("k", keyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// FuzzToken: what we made is understood, and nothing else is.
func FuzzToken(f *testing.F) {
	k := testKeys(f)
	f.Add(k.token(1, 2), int64(1), int64(2))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA", int64(-1), int64(1))
	f.Add("", int64(0), int64(0))
	f.Fuzz(func(t *testing.T, text string, owner, id int64) {
		if got, ok := k.open(owner, k.token(owner, id)); (ok && got != id) || ok != (id > 0) {
			t.Errorf("%d of %d became %d, %v", id, owner, got, ok)
		}
		if got, ok := k.open(owner, text); ok && k.token(owner, got) != text {
			t.Errorf("%q has two spellings", text)
		}
	})
}

// FuzzAddresses: they are read off a stored message as they were written.
func FuzzAddresses(f *testing.F) {
	f.Add("romeo@a.example/orchard", "juliet@a.example")
	f.Add("o'hara&co@a.example/<it's>", "a.example/\"x\"")
	f.Add("", "a.example/from='x'")
	f.Fuzz(func(t *testing.T, from, to string) {
		var st stanza.Stanza
		st.Kind = stanza.Message
		st.From, _ = jid.Parse(from)
		st.To, _ = jid.Parse(to)
		gotFrom, gotTo := addresses(render(&st))
		if gotFrom != st.From.String() || gotTo != st.To.String() {
			t.Errorf("%q, %q became %q, %q", st.From, st.To, gotFrom, gotTo)
		}
	})
}

// FuzzQuery: any query is understood or refused.
func FuzzQuery(f *testing.F) {
	m := &MAM{settings: settings.Fixed(settings.Defaults()), keys: testKeys(f)}
	owner := account.Account{ID: 1, JID: jid.MustParse("romeo@a.example")}
	id := m.keys.token(1, 2)
	for _, inner := range []string{
		"", "<flip-page/>", set("<max>3</max><after>" + id + "</after>"), set("<max>0</max><before/>"), set("<index>1</index>"),
		fields("with", "juliet@a.example/x", "start", "2010-06-07T00:00:00Z", "end", "9999-12-31T23:59:59.999999999-14:00"),
		fields("after-id", id, "before-id", id), fields("ids", id), fields("include-groupchat", "1"), fields("x", "y"),
	} {
		f.Add("<query xmlns='urn:xmpp:mam:2' queryid='1'>" + inner + "</query>")
	}
	f.Fuzz(func(t *testing.T, xml string) {
		n, err := elem.Parse([]byte(xml), "jabber:client")
		if err != nil {
			return
		}
		q, err := m.read(n, owner)
		if err != nil {
			if _, ok := err.(*stanza.Error); !ok {
				t.Errorf("%s: %v is no refusal", xml, err)
			}
			return
		}
		if q.search.owner != 1 || q.search.limit < 0 || q.search.limit > 250 || q.search.after < 0 || (q.search.limit == 0) != q.count {
			t.Errorf("%s: %+v", xml, q)
		}
	})
}
