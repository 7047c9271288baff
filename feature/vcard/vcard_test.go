package vcard

import (
	"strings"
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
	"chancery/core/session/sessiontest"
	"chancery/core/settings"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/elem"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

const blank = `<vCard xmlns='vcard-temp'/>`

func TestEverybodyReadsWhatTheOwnerWrites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		v, own := New(db, settings.Fixed(settings.Defaults())), routetest.Own(sessiontest.New("romeo@a.example/phone", 7).Session)
		anybody := routetest.Stranger("tybalt@b.example", account.Account{ID: 7, JID: jid.MustParse("romeo@a.example")})
		const card = `<vCard xmlns='vcard-temp'><FN>Romeo &amp; Co</FN><N><FAMILY>Montague</FAMILY></N></vCard>`
		expect := func(name string, to route.Target, who routetest.Asker, want, condition string) {
			t.Helper()
			got, err := routetest.Ask(t, v.Module(), to, who, "get", blank)
			if got != want || (condition == "" && err != nil) || (condition != "" && !routetest.Refused(err, condition)) {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
		set := func(xml string) {
			t.Helper()
			if _, err := routetest.Ask(t, v.Module(), route.OwnAccount, own, "set", xml); err != nil {
				t.Fatal(err)
			}
		}
		expect("he has none", route.OwnAccount, own, "", stanza.ItemNotFound)
		expect("like nobody", route.OtherAccount, anybody, "", stanza.ServiceUnavailable)
		set(strings.Replace(card, "Romeo", "Ròmeo", 1))
		set(card)
		expect("his own", route.OwnAccount, own, card, "")
		expect("somebody's", route.OtherAccount, anybody, card, "")
		set(blank)
		expect("taken away", route.OwnAccount, own, "", stanza.ItemNotFound)
		set(card)
		if err := db.Write(t.Context(), func(tx store.Tx) error { return v.Module().Forget(t.Context(), tx, account.Account{ID: 7}) }); err != nil {
			t.Fatal(err)
		}
		expect("forgotten", route.OtherAccount, anybody, "", stanza.ServiceUnavailable)
	})
}

func TestLargeCardIsRefused(t *testing.T) {
	s := settings.Defaults()
	s.VCard.Bytes = 4096
	v, own := New(storetest.SQLite(t), settings.Fixed(s)), routetest.Own(sessiontest.New("romeo@a.example/phone", 7).Session)
	_, err := routetest.Ask(t, v.Module(), route.OwnAccount, own, "set", "<vCard xmlns='vcard-temp'><NOTE>"+strings.Repeat("x", 4096)+"</NOTE></vCard>")
	if !routetest.Refused(err, stanza.PolicyViolation) {
		t.Errorf("%v, want policy-violation", err)
	}
}

func TestPhotoHash(t *testing.T) {
	const hello = "f7ff9e8b7bb2e09b70935a5d785e0cc5d9d0abf0" // sha1("Hello")
	for content, want := range map[string]string{
		"<PHOTO><TYPE>image/png</TYPE><BINVAL>SGVsbG8=</BINVAL></PHOTO>": hello,
		"<PHOTO><BINVAL>\n  SGVs\n  bG8=\n</BINVAL></PHOTO>":             hello,
		"<PHOTO><BINVAL>???</BINVAL></PHOTO>":                            "",
		"<PHOTO><BINVAL/></PHOTO>":                                       "",
		"<PHOTO><EXTVAL>http://a.example/x.png</EXTVAL></PHOTO>":         "",
		"<FN>x</FN>": "",
	} {
		n, err := elem.Parse([]byte("<vCard xmlns='vcard-temp'>"+content+"</vCard>"), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := photo(n); got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}
