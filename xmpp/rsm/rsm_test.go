package rsm_test

import (
	"errors"
	"testing"

	"chancery/xmpp/elem"
	"chancery/xmpp/rsm"
	"chancery/xmpp/stanza"
)

func query(t testing.TB, inner string) *elem.Node {
	t.Helper()
	n, err := elem.Parse([]byte("<query xmlns='urn:q'>"+inner+"</query>"), "")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		in    string
		want  rsm.Request
		asked bool
	}{
		{"", rsm.Request{Max: -1, Index: -1}, false},
		{"<set xmlns='urn:other'><max>1</max></set>", rsm.Request{Max: -1, Index: -1}, false},
		{"<set xmlns='http://jabber.org/protocol/rsm'/>", rsm.Request{Max: -1, Index: -1}, true},
		{"<set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>", rsm.Request{Max: 0, Index: -1}, true},
		{"<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>a&amp;b</after></set>", rsm.Request{Max: 10, Index: -1, After: "a&b"}, true},
		{"<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/></set>", rsm.Request{Max: 10, Index: -1, Backwards: true}, true},
		{"<set xmlns='http://jabber.org/protocol/rsm'><before>x</before><index>3</index></set>", rsm.Request{Max: -1, Index: 3, Before: "x", Backwards: true}, true},
	} {
		got, asked, err := rsm.Parse(query(t, c.in))
		if err != nil || got != c.want || asked != c.asked {
			t.Errorf("%s\n got  %+v %v %v\n want %+v %v", c.in, got, asked, err, c.want, c.asked)
		}
	}
}

func TestBadNumbersAreRefused(t *testing.T) {
	for _, v := range []string{"", " 1", "-1", "+1", "1.5", "many", "99999999999999999999"} {
		for _, name := range []string{"max", "index"} {
			_, _, err := rsm.Parse(query(t, "<set xmlns='http://jabber.org/protocol/rsm'><"+name+">"+v+"</"+name+"></set>"))
			var e *stanza.Error
			if !errors.As(err, &e) || e.Condition != stanza.BadRequest {
				t.Errorf("%s %q: %v", name, v, err)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct{ max, want int }{{-1, 50}, {0, 0}, {7, 7}, {1 << 30, 250}} {
		if got := (rsm.Request{Max: c.max}).Limit(50, 250); got != c.want {
			t.Errorf("max %d: %d, want %d", c.max, got, c.want)
		}
	}
}

func TestPages(t *testing.T) {
	for _, c := range []struct {
		page rsm.Page
		want string
	}{
		{rsm.Page{Index: -1, Count: -1}, "<set xmlns='http://jabber.org/protocol/rsm'/>"},
		{rsm.Page{Index: -1, Count: 0}, "<set xmlns='http://jabber.org/protocol/rsm'><count>0</count></set>"},
		{rsm.Page{First: "a", Last: "b", Index: 0, Count: 9}, "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><last>b</last><count>9</count></set>"},
	} {
		if got := string(c.page.Node().Append(nil, "")); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/></set>")
	f.Add("<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>x</after><index>2</index></set>")
	f.Fuzz(func(t *testing.T, in string) {
		n, err := elem.Parse([]byte("<q>"+in+"</q>"), "urn:q")
		if err != nil {
			return
		}
		r, _, err := rsm.Parse(n)
		if err == nil && (r.Max < -1 || r.Index < -1 || len(r.After) > rsm.MaxID || len(r.Before) > rsm.MaxID) {
			t.Fatalf("%s: %+v", in, r)
		}
	})
}
