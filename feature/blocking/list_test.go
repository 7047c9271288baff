package blocking

import (
	"testing"

	"chancery/xmpp/jid"
)

// XEP-0191 matching: which rule matches whom.
func TestMatching(t *testing.T) {
	for _, c := range []struct {
		rule, other string
		want        bool
	}{
		{"user@b.example/desk", "user@b.example/desk", true},
		{"user@b.example/desk", "user@b.example/phone", false},
		{"user@b.example/desk", "user@b.example", false},
		{"user@b.example", "user@b.example", true},
		{"user@b.example", "user@b.example/desk", true},
		{"user@b.example", "other@b.example", false},
		{"user@b.example", "b.example", false},
		{"b.example/gateway", "b.example/gateway", true},
		{"b.example/gateway", "b.example", false},
		{"b.example/gateway", "user@b.example/gateway", false},
		{"b.example", "b.example", true},
		{"b.example", "b.example/gateway", true},
		{"b.example", "user@b.example", true},
		{"b.example", "user@b.example/desk", true},
		{"b.example", "user@c.b.example", false},
		{"b.example", "b.example.org", false},
	} {
		if got := newList(jid.MustParse(c.rule)).blocks(jid.MustParse(c.other)); got != c.want {
			t.Errorf("%s blocks %s: %v, want %v", c.rule, c.other, got, c.want)
		}
	}
}

func TestWhoIsToldOfAChange(t *testing.T) {
	contacts := []jid.JID{jid.MustParse("juliet@b.example"), jid.MustParse("nurse@b.example"), jid.MustParse("tybalt@c.example")}
	for _, c := range []struct {
		name  string
		rules []string
		other []string
		want  string
	}{
		{"a contact", []string{"juliet@b.example"}, nil, "juliet@b.example"},
		{"somebody who is no contact", []string{"rosaline@b.example"}, nil, ""},
		{"a domain", []string{"b.example"}, nil, "juliet@b.example nurse@b.example"},
		{"one resource of a contact", []string{"juliet@b.example/balcony"}, nil, "juliet@b.example/balcony"},
		{"a contact and his resource", []string{"juliet@b.example", "juliet@b.example/balcony"}, nil, "juliet@b.example"},
		{"blocked otherwise", []string{"juliet@b.example"}, []string{"b.example"}, ""},
		{"a domain of which one was blocked before", []string{"b.example"}, []string{"nurse@b.example"}, "juliet@b.example"},
		{"a resource of somebody blocked otherwise", []string{"juliet@b.example/balcony"}, []string{"juliet@b.example"}, ""},
	} {
		got := ""
		for _, j := range newList(concerned(parse(c.rules), contacts, newList(parse(c.other)...))...).sorted() {
			if got != "" {
				got += " "
			}
			got += j.String()
		}
		if got != c.want {
			t.Errorf("%s: told %q, want %q", c.name, got, c.want)
		}
	}
}

func parse(texts []string) []jid.JID {
	var out []jid.JID
	for _, s := range texts {
		out = append(out, jid.MustParse(s))
	}
	return out
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(20)
	three := newList(parse([]string{"a@b.example", "c@b.example", "d@b.example"})...)
	for id := range int64(100) {
		_, age, _ := c.get(id)
		c.put(id, three, age)
	}
	if len(c.lists) != 5 || c.weight != 20 {
		t.Errorf("%d lists that weigh %d, want 5 and 20", len(c.lists), c.weight)
	}
	for id := range int64(100) {
		c.drop(id)
	}
	if len(c.lists) != 0 || c.weight != 0 {
		t.Errorf("an empty cache has %d lists that weigh %d", len(c.lists), c.weight)
	}
}

// A list that was read before a change, and put after it, would bring back what
// was there before.
func TestCacheDoesNotKeepWhatWasReadBeforeAChange(t *testing.T) {
	c := newCache(20)
	_, age, _ := c.get(1)
	c.drop(1)
	c.put(1, newList(), age)
	if _, _, ok := c.get(1); ok {
		t.Error("the list is kept")
	}
}
