package mam

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"chancery/core/route"
	"chancery/store"
	"chancery/store/storetest"
	"chancery/xmpp/delay"
	"chancery/xmpp/elem"
	"chancery/xmpp/form"
	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

// each runs a test on both databases, with what was archived still in the tail
// and, on SQLite, again with all of it in the index.
func each(t *testing.T, test func(t *testing.T, w *world, settle func())) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, "romeo", "juliet", "mercutio")
		test(t, w, w.settle)
	})
	t.Run("indexed", func(t *testing.T) {
		w := newWorld(t, storetest.SQLite(t), "romeo", "juliet", "mercutio")
		test(t, w, func() {
			w.settle()
			if err := w.mam.index(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("half indexed, restarted", func(t *testing.T) {
		w := newWorld(t, storetest.SQLite(t), "romeo", "juliet", "mercutio")
		test(t, w, func() {
			w.settle()
			// The owners' index is written, the rest is not.
			var pairs []pair
			for owner, list := range w.mam.tail.fresh {
				for _, e := range list {
					pairs = append(pairs, pair{owner, e.id})
				}
			}
			if err := w.mam.steps(t.Context(), pairs, insertOwners); err != nil {
				t.Fatal(err)
			}
			w.open()
		})
	})
}

func TestBothHaveTheMessage(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.send("romeo/orchard", "juliet@a.example", body("hail"))
		w.send("juliet/balcony", "romeo@a.example/orchard", body("well"))
		w.send("romeo/orchard", "nurse@b.example", body("good"))
		w.arrives("nurse@b.example/lane", "juliet@a.example", body("madam"))
		settle()
		w.want(w.query("romeo", ""), "hail well good", true)
		w.want(w.query("juliet", ""), "hail well madam", true)
		w.want(w.query("mercutio", ""), "", true)
	})
}

func TestResultsCarryTheStoredBytes(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		inner := "<body>it&apos;s &lt;b&gt; &amp;c.</body><thread>e0ffe42b</thread><x xmlns='urn:example' a='1'><y/>&#xD;</x><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"
		before := time.Now()
		w.send("romeo/orchard", "juliet@a.example/balcony", inner)
		settle()
		p := w.query("juliet", "")
		if len(p.results) != 1 {
			t.Fatal(len(p.results), "results")
		}
		r := p.results[0]
		if r.Attr("queryid") != "f27" || r.Attr("id") == "" {
			t.Error("attributes:", r.Attrs)
		}
		f := r.Child("urn:xmpp:forward:0", "forwarded")
		at, err := delay.ParseStamp(f.Child(delay.NS, "delay").Attr("stamp"))
		if err != nil || at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) {
			t.Error("delay:", at, err)
		}
		var rendered []byte
		for _, it := range items(t, w, "juliet") {
			rendered = it.payload
		}
		want := "<message xmlns='jabber:client' from='romeo@a.example/orchard' to='juliet@a.example/balcony' id='x' type='chat'>" + inner + "</message>"
		if !strings.Contains(string(rendered), want) {
			t.Errorf("got %s\nwant %s", rendered, want)
		}
	})
}

func items(t *testing.T, w *world, name string) []item {
	t.Helper()
	ask, err := w.mam.read(elem.New(NS, "query"), w.account(name))
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := w.mam.page(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPages(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		for i := range 10 {
			w.send("romeo/orchard", "juliet@a.example", body(fmt.Sprint(i)))
		}
		settle()
		all := w.query("romeo", "")
		id := all.id
		cases := []struct {
			name, inner, bodies string
			complete            bool
		}{
			{"all", "", "0 1 2 3 4 5 6 7 8 9", true},
			{"first page", set("<max>3</max>"), "0 1 2", false},
			{"next page", set("<max>3</max><after>" + id(2) + "</after>"), "3 4 5", false},
			{"exactly the rest", set("<max>4</max><after>" + id(5) + "</after>"), "6 7 8 9", true},
			{"nothing after the last", set("<max>3</max><after>" + id(9) + "</after>"), "", true},
			{"last page", set("<max>3</max><before/>"), "7 8 9", false},
			{"page before", set("<max>3</max><before>" + id(7) + "</before>"), "4 5 6", false},
			{"first page from behind", set("<max>4</max><before>" + id(4) + "</before>"), "0 1 2 3", true},
			{"flipped", set("<max>3</max><before/>") + "<flip-page/>", "9 8 7", false},
			{"flipped forwards", set("<max>3</max>") + "<flip-page/>", "2 1 0", false},
			{"after-id", fields("after-id", id(6)), "7 8 9", true},
			{"before-id", fields("before-id", id(3)), "0 1 2", true},
			{"between", fields("after-id", id(2), "before-id", id(7)), "3 4 5 6", true},
			{"between, paged", fields("after-id", id(2), "before-id", id(7)) + set("<max>2</max><after>"+id(3)+"</after>"), "4 5", false},
			{"between, from behind", fields("after-id", id(2), "before-id", id(7)) + set("<max>2</max><before/>"), "5 6", false},
			{"between, nothing", fields("after-id", id(7), "before-id", id(2)), "", true},
			{"one", fields("ids", id(4)), "4", true},
			{"empty fields", fields("with", "", "start", ""), "0 1 2 3 4 5 6 7 8 9", true},
			{"without groupchat", fields("include-groupchat", "false"), "0 1 2 3 4 5 6 7 8 9", true},
		}
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				p := w.query("romeo", c.inner)
				w.want(p, c.bodies, c.complete)
				if len(p.results) == 0 {
					if p.set("first")+p.set("last") != "" {
						t.Error("an empty page has a first or last")
					}
					return
				}
				first, last := p.id(0), p.id(len(p.results)-1)
				if strings.Contains(c.inner, "flip-page") {
					first, last = last, first
				}
				if p.set("first") != first || p.set("last") != last {
					t.Error("first and last are not those of the page")
				}
			})
		}
		ids := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>" +
			id(8) + "</value><value>" + id(1) + "</value><value>" + id(1) + "</value></field></x>"
		w.want(w.query("romeo", ids), "1 8", true)
		w.want(w.query("romeo", ids+set("<max>1</max>")), "1", false)

		count := func(inner string) string { return w.query("romeo", inner).set("count") }
		if c := count(""); c != "10" {
			t.Errorf("count of a whole result is %q", c)
		}
		if c := count(set("<max>3</max>")); c != "" {
			t.Errorf("a page has a count of %q", c)
		}
		if c := count(set("<max>0</max>")); c != "10" {
			t.Errorf("count alone is %q", c)
		}
	})
}

func TestFilters(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.send("romeo/orchard", "juliet@a.example", body("1"))
		w.send("juliet/balcony", "romeo@a.example/orchard", body("2"))
		w.send("romeo/phone", "mercutio@a.example", body("3"))
		w.send("romeo/orchard", "nurse@b.example", body("4"))
		w.arrives("nurse@b.example/lane", "romeo@a.example", body("5"))
		w.send("romeo/phone", "romeo@a.example", body("6"))
		w.send("romeo/phone", "b.example", body("7"))
		settle()
		at := func(i int) string {
			p := w.query("romeo", "")
			return p.results[i].Child("urn:xmpp:forward:0", "forwarded").Child(delay.NS, "delay").Attr("stamp")
		}
		for _, c := range []struct {
			form   []string
			bodies string
		}{
			{[]string{"with", "juliet@a.example"}, "1 2"},
			{[]string{"with", "JULIET@a.example"}, "1 2"},
			{[]string{"with", "juliet@a.example/balcony"}, "2"},
			{[]string{"with", "juliet@a.example/elsewhere"}, ""},
			{[]string{"with", "mercutio@a.example"}, "3"},
			{[]string{"with", "nurse@b.example"}, "4 5"},
			{[]string{"with", "nurse@b.example/lane"}, "5"},
			{[]string{"with", "b.example"}, "7"},
			{[]string{"with", "romeo@a.example"}, "6"}, // only what he sent to himself
			{[]string{"with", "paris@a.example"}, ""},
			{[]string{"start", at(4)}, "5 6 7"},
			{[]string{"end", at(1)}, "1 2"},
			{[]string{"start", at(1), "end", at(3)}, "2 3 4"},
			{[]string{"start", at(1), "end", at(3), "with", "nurse@b.example"}, "4"},
			{[]string{"start", "1000-01-01T00:00:00Z", "end", "9999-12-31T23:59:59Z"}, "1 2 3 4 5 6 7"},
			{[]string{"start", "9999-12-31T23:59:59Z"}, ""},
			{[]string{"end", "0001-01-01T00:00:00Z"}, ""},
		} {
			w.want(w.query("romeo", fields(c.form...)), c.bodies, true)
			flipped := strings.Fields(c.bodies)
			for i := range len(flipped) / 2 {
				flipped[i], flipped[len(flipped)-1-i] = flipped[len(flipped)-1-i], flipped[i]
			}
			w.want(w.query("romeo", fields(c.form...)+set("<before/>")+"<flip-page/>"), strings.Join(flipped, " "), true)
		}
		w.want(w.query("romeo", fields("with", "juliet@a.example")+set("<max>1</max>")), "1", false)
		w.want(w.query("romeo", fields("with", "nurse@b.example/lane")+set("<max>1</max><before/>")), "5", true)
	})
}

func TestBadQueriesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.send("romeo/orchard", "juliet@a.example", body("1"))
		w.send("mercutio/street", "nurse@b.example", body("2"))
		settle()
		own, others := w.query("romeo", "").id(0), w.query("mercutio", "").id(0)
		julias := w.query("juliet", "").id(0) // of the same message
		if own == julias {
			t.Error("one message has the same id in two archives")
		}
		changed := []byte(own)
		changed[3] ^= 1
		for _, c := range []struct{ inner, condition string }{
			{set("<max>10</max><after>" + others + "</after>"), "item-not-found"},
			{set("<max>10</max><after>" + julias + "</after>"), "item-not-found"},
			{set("<max>10</max><before>" + string(changed) + "</before>"), "item-not-found"},
			{set("<max>10</max><after>1</after>"), "item-not-found"},
			{set("<max>10</max><after>" + w.mam.keys.token(1000, 77) + "</after>"), "item-not-found"}, // never was
			{fields("after-id", others), "item-not-found"},
			{fields("before-id", "x"), "item-not-found"},
			{fields("ids", others), "item-not-found"},
			{fields("ids", own+"="), "item-not-found"},
			{set("<max>ten</max>"), "bad-request"},
			{set("<max>-1</max>"), "bad-request"},
			{set("<max>99999999999999</max>"), "bad-request"},
			{set("<max>10</max><index>3</index>"), "feature-not-implemented"},
			{fields("with", "@"), "bad-request"},
			{fields("start", "yesterday"), "bad-request"},
			{fields("end", "2010-06-07"), "bad-request"},
			{fields("include-groupchat", "perhaps"), "bad-request"},
			{fields("{http://example.com/}free-text-search", "love"), "feature-not-implemented"},
			{fields("with", "a@b", "with", "c@d"), "bad-request"},
			{"<x xmlns='jabber:x:data' type='form'/>", "bad-request"},
			{"<x xmlns='jabber:x:data' type='submit'/>", "bad-request"},
			{"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:1</value></field></x>", "bad-request"},
			{"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>a@b</value><value>c@d</value></field></x>", "bad-request"},
		} {
			_, err := w.ask("romeo", "set", "<query xmlns='urn:xmpp:mam:2'>"+c.inner+"</query>")
			var e *stanza.Error
			if !errors.As(err, &e) || e.Condition != c.condition {
				t.Errorf("%s: got %v, want %s", c.inner, err, c.condition)
			}
		}
	})
}

func TestMetadata(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		p, err := w.ask("romeo", "get", "<metadata xmlns='urn:xmpp:mam:2'/>")
		if err != nil || len(p.fin.Children) != 0 {
			t.Errorf("an empty archive has %v, %v", p.fin, err)
		}
		for i := range 3 {
			w.send("romeo/orchard", "juliet@a.example", body(fmt.Sprint(i)))
		}
		settle()
		p, err = w.ask("romeo", "get", "<metadata xmlns='urn:xmpp:mam:2'/>")
		if err != nil {
			t.Fatal(err)
		}
		all := w.query("romeo", "")
		for i, name := range []string{"start", "end"} {
			r := all.results[2*i]
			n := p.fin.Child(NS, name)
			if n.Attr("id") != r.Attr("id") || n.Attr("timestamp") != r.Child("urn:xmpp:forward:0", "forwarded").Child(delay.NS, "delay").Attr("stamp") {
				t.Errorf("%s: %v", name, n.Attrs)
			}
		}
	})
}

func TestTheFormNamesTheFields(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo")
	p, err := w.ask("romeo", "get", "<query xmlns='urn:xmpp:mam:2'/>")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range p.fin.Child(form.NS, "x").ChildrenNamed(form.NS, "field") {
		names = append(names, f.Attr("var"))
	}
	if got := strings.Join(names, " "); got != "FORM_TYPE with start end before-id after-id include-groupchat ids" {
		t.Error(got)
	}
}

func TestWhatIsArchived(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet")
	yes, no := true, false
	for i, c := range []struct {
		typ, inner string
		kept       bool
	}{
		{"chat", body("x"), yes},
		{"normal", body("x"), yes},
		{"headline", body("x"), no},
		{"headline", body("x") + "<store xmlns='urn:xmpp:hints'/>", yes},
		{"groupchat", body("x"), no},
		{"groupchat", body("x") + "<store xmlns='urn:xmpp:hints'/>", no},
		{"error", body("x"), no},
		{"error", body("x") + "<store xmlns='urn:xmpp:hints'/>", no},
		{"chat", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", no},
		{"chat", "", no},
		{"chat", "<subject>x</subject>", no},
		{"normal", "<subject>x</subject>", yes},
		{"chat", "<x xmlns='urn:example'/>", no},
		{"chat", "<x xmlns='urn:example'/><store xmlns='urn:xmpp:hints'/>", yes},
		{"chat", body("x") + "<no-store xmlns='urn:xmpp:hints'/>", no},
		{"chat", body("x") + "<no-permanent-store xmlns='urn:xmpp:hints'/>", no},
		{"chat", body("x") + "<no-store xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/>", no},
		{"chat", body("x") + "<no-copy xmlns='urn:xmpp:hints'/>", yes},
		{"chat", "<received xmlns='urn:xmpp:receipts' id='1'/>", yes},
		{"chat", "<request xmlns='urn:xmpp:receipts'/>", no},
		{"chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", yes},
		{"chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>", no},
		{"chat", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", yes},
		{"chat", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", yes},
		{"chat", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", yes},
		{"chat", "<encrypted xmlns='urn:xmpp:omemo:2'/>", yes},
		{"chat", "<openpgp xmlns='urn:xmpp:openpgp:0'/>", yes},
		{"normal", "<x xmlns='jabber:x:conference' jid='r@c'/>", yes},
		{"normal", "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>", yes},
		{"normal", "<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>", no},
		{"chat", "<body xmlns='urn:example'>x</body>", no},
	} {
		n := len(w.query("juliet", set("<before/>")).results)
		w.sendType("romeo/orchard", "juliet@a.example/nowhere", c.typ, c.inner)
		if c.typ != "chat" { // to a resource that is not there it would be refused
			w.sendType("romeo/orchard", "juliet@a.example", c.typ, c.inner)
		}
		got := len(w.query("juliet", set("<before/>")).results) > n
		if got != c.kept {
			t.Errorf("%d: %s %s: archived is %v", i, c.typ, c.inner, got)
		}
	}
}

func TestARefusedMessageIsInNoArchive(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.send("romeo/orchard", "paris@a.example", body("nobody"))
		w.sendType("romeo/orchard", "juliet@a.example/elsewhere", "normal", body("no such resource"))
		settle()
		w.want(w.query("romeo", ""), "", true)
		w.want(w.query("juliet", ""), "", true)
	})
}

func TestMarks(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		romeo, juliet := w.account("romeo"), w.account("juliet")
		forged := "<stanza-id xmlns='urn:xmpp:sid:0' by='ROMEO@a.example' id='f1'/><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.example' id='f2'/>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='r1'/><origin-id xmlns='urn:xmpp:sid:0' id='o1'/>"
		tr := &route.Transit{
			Stanza: parse(t, "<message xmlns='jabber:client' from='romeo@a.example/orchard' to='juliet@a.example' type='chat'><body>x</body>"+forged+"</message>"),
			Sender: &romeo, Recipient: &juliet, At: time.Now(),
		}
		if err := w.mam.Sent(t.Context(), tr); err != nil {
			t.Fatal(err)
		}
		if err := w.mam.Received(t.Context(), tr); err != nil {
			t.Fatal(err)
		}
		for i, m := range [][]byte{tr.SenderMark, tr.RecipientMark} {
			n, err := elem.Parse(m, "jabber:client")
			if err != nil {
				t.Fatal(err)
			}
			owner := []int64{romeo.ID, juliet.ID}[i]
			if id, ok := w.mam.keys.open(owner, n.Attr("id")); !ok || id != tr.ArchiveID || n.Name != stanzaID || n.Attr("by") != []string{"romeo@a.example", "juliet@a.example"}[i] {
				t.Errorf("mark %s", m)
			}
		}
		want := "<message xmlns='jabber:client' from='romeo@a.example/orchard' to='juliet@a.example' type='chat'><body>x</body>" +
			"<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='r1'/><origin-id xmlns='urn:xmpp:sid:0' id='o1'/></message>"
		if got := string(tr.Append(nil, "jabber:client")); got != want {
			t.Errorf("delivered %s", got)
		}
		if got := string(tr.Kept()[0].Values[colStanza].([]byte)); got != want {
			t.Errorf("archived %s", got)
		}
		settle()
	})
}

func TestAForgedIDIsDroppedAlsoFromWhatIsNotArchived(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet")
	juliet := w.account("juliet")
	tr := &route.Transit{
		Stanza:    parse(t, "<message xmlns='jabber:client' from='room@muc.example/a' to='juliet@a.example/b' type='groupchat'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='juliet@a.example' id='f'/></message>"),
		Recipient: &juliet,
	}
	if err := w.mam.Received(t.Context(), tr); err != nil {
		t.Fatal(err)
	}
	if tr.Has(nsIDs, "stanza-id") || tr.RecipientMark != nil || len(tr.Kept()) != 0 {
		t.Errorf("%s, mark %s", tr.Append(nil, ""), tr.RecipientMark)
	}
}

func TestPreferences(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		w.friends[[2]jid.JID{w.account("romeo").JID, w.account("juliet").JID}] = true
		prefs := func(inner string) {
			t.Helper()
			p, err := w.ask("romeo", "set", inner)
			if err != nil {
				t.Fatal(err)
			}
			again, err := w.ask("romeo", "get", "<prefs xmlns='urn:xmpp:mam:2'/>")
			if err != nil {
				t.Fatal(err)
			}
			if a, b := string(p.fin.Append(nil, "")), string(again.fin.Append(nil, "")); a != b || a != inner {
				t.Errorf("set %s\ntold %s\nkept %s", inner, a, b)
			}
		}
		p, err := w.ask("romeo", "get", "<prefs xmlns='urn:xmpp:mam:2'/>")
		if err != nil || string(p.fin.Append(nil, "")) != "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>" {
			t.Errorf("at first: %s, %v", p.fin.Append(nil, ""), err)
		}
		say := func(text string) {
			w.send("romeo/orchard", "juliet@a.example/balcony", body(text+"j"))
			w.send("romeo/orchard", "mercutio@a.example", body(text+"m"))
			w.arrives("nurse@b.example/lane", "romeo@a.example", body(text+"n"))
			w.send("romeo/orchard", "romeo@a.example", body(text+"r"))
		}
		prefs("<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs>")
		say("1")
		prefs("<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/><never/></prefs>")
		say("2")
		prefs("<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>nurse@b.example</jid><jid>juliet@a.example/elsewhere</jid></always><never/></prefs>")
		say("3")
		prefs("<prefs xmlns='urn:xmpp:mam:2' default='always'><always><jid>mercutio@a.example</jid></always><never><jid>mercutio@a.example</jid><jid>juliet@a.example/balcony</jid></never></prefs>")
		say("4")
		settle()
		w.want(w.query("romeo", ""), "2j 2r 3n 4n 4r", true)
		w.want(w.query("mercutio", ""), "1m 2m 3m 4m", true) // his own wishes count
		// What one of the two keeps is in his conversation, and in his only.
		w.want(w.query("juliet", fields("with", "romeo@a.example")), "1j 2j 3j 4j", true)
		w.want(w.query("romeo", fields("with", "juliet@a.example")), "2j", true)

		for _, bad := range []string{
			"<prefs xmlns='urn:xmpp:mam:2'/>",
			"<prefs xmlns='urn:xmpp:mam:2' default='sometimes'/>",
			"<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>@</jid></never></prefs>",
			"<prefs xmlns='urn:xmpp:mam:2' default='always'><never>" + manyJIDs(maxListed+1) + "</never></prefs>",
		} {
			if _, err := w.ask("romeo", "set", bad); err == nil {
				t.Errorf("accepted %.80s", bad)
			}
		}
	})
}

func manyJIDs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<jid>u%d@b.example</jid>", i)
	}
	return b.String()
}

func TestTheServersDefaultCounts(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet")
	w.settings.Archive.Default = "never"
	w.send("romeo/orchard", "juliet@a.example", body("1"))
	w.want(w.query("romeo", ""), "", true)
	if p, _ := w.ask("romeo", "get", "<prefs xmlns='urn:xmpp:mam:2'/>"); p.fin.Attr("default") != "never" {
		t.Error(p.fin.Attrs)
	}
}

func TestAPageIsBoundedInBytes(t *testing.T) {
	each(t, func(t *testing.T, w *world, settle func()) {
		for i := range 8 {
			w.send("romeo/orchard", "juliet@a.example", body(fmt.Sprint(i, strings.Repeat("x", 100<<10))))
		}
		settle()
		first := func(p page) (out string) {
			for _, b := range strings.Fields(p.bodies()) {
				out += b[:1]
			}
			return out
		}
		p := w.query("romeo", "")
		if got := first(p); got != "01" || p.complete() {
			t.Errorf("got %q, complete %v", got, p.complete())
		}
		p = w.query("romeo", set("<before/>"))
		if got := first(p); got != "67" || p.complete() {
			t.Errorf("from behind got %q, complete %v", got, p.complete())
		}
		// One that is larger than the bound comes by itself.
		w.settings.C2S.OutboxBytes = 64 << 10
		p = w.query("romeo", set("<after>"+p.id(0)+"</after>"))
		if got := first(p); got != "7" || !p.complete() {
			t.Errorf("large: got %q, complete %v", got, p.complete())
		}
	})
}

func TestARareResourceIsFoundOrSaidToBeTooRare(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), "romeo", "juliet")
	w.arrives("nurse@b.example/lane", "romeo@a.example", body("rare"))
	for range 100 {
		w.arrives("nurse@b.example/house", "romeo@a.example", body("x"))
	}
	w.want(w.query("romeo", fields("with", "nurse@b.example/lane")+set("<max>5</max><before/>")), "rare", true)
	w.want(w.query("romeo", fields("with", "nurse@b.example/lane")+set("<max>1</max>")), "rare", true)
	p := w.query("romeo", fields("with", "nurse@b.example/house")+set("<max>60</max>"))
	if len(p.results) != 60 || p.complete() {
		t.Error(len(p.results), p.complete())
	}
}
