package transcript

import (
	"fmt"
	"strings"
	"testing"
)

// transition is one cell of RFC 6121 Appendix A, with romeo's server and juliet's in one: what romeo sends leaves by
// A.2 and arrives by A.3.
type transition struct {
	state, sends string // as romeo sees it
	delivered    bool   // juliet is told
	after        string // romeo's state; juliet's is its mirror
}

// transitions is all of A.2 and A.3 but for the states that only two servers out of step can have.
// "subscribed" without a request is pre-approval (§3.4) and stands in scripts/subscription.
var transitions = []transition{
	{"none", "subscribe", true, "out"},
	{"out", "subscribe", false, "out"},
	{"in", "subscribe", true, "out+in"},
	{"out+in", "subscribe", false, "out+in"},
	{"to", "subscribe", false, "to"},
	{"to+in", "subscribe", false, "to+in"},
	{"from", "subscribe", true, "from+out"},
	{"from+out", "subscribe", false, "from+out"},
	{"both", "subscribe", false, "both"},

	{"none", "unsubscribe", false, "none"},
	{"out", "unsubscribe", true, "none"},
	{"in", "unsubscribe", false, "in"},
	{"out+in", "unsubscribe", true, "in"},
	{"to", "unsubscribe", true, "none"},
	{"to+in", "unsubscribe", true, "in"},
	{"from", "unsubscribe", false, "from"},
	{"from+out", "unsubscribe", true, "from"},
	{"both", "unsubscribe", true, "from"},

	{"in", "subscribed", true, "from"},
	{"out+in", "subscribed", true, "from+out"},
	{"to+in", "subscribed", true, "both"},
	{"from", "subscribed", false, "from"},
	{"from+out", "subscribed", false, "from+out"},
	{"both", "subscribed", false, "both"},

	{"none", "unsubscribed", false, "none"},
	{"out", "unsubscribed", false, "out"},
	{"in", "unsubscribed", true, "none"},
	{"out+in", "unsubscribed", true, "out"},
	{"to", "unsubscribed", false, "to"},
	{"to+in", "unsubscribed", true, "to"},
	{"from", "unsubscribed", true, "none"},
	{"from+out", "unsubscribed", true, "out"},
	{"both", "unsubscribed", true, "to"},
}

// relations is a state of Appendix A in parts.
type relations struct{ to, from, out, in bool }

func relationsOf(state string) relations {
	r := relations{to: state == "both", from: state == "both"}
	for part := range strings.SplitSeq(state, "+") {
		switch part {
		case "to":
			r.to = true
		case "from":
			r.from = true
		case "out":
			r.out = true
		case "in":
			r.in = true
		}
	}
	return r
}

func (r relations) mirror() relations { return relations{to: r.from, from: r.to, out: r.in, in: r.out} }

// listed tells whether such a state shows in the contact list: a request that came does not (§3.1.3).
func (r relations) listed() bool { return r.to || r.from || r.out }

func (r relations) item(contact string) string {
	sub := "none"
	switch {
	case r.to && r.from:
		sub = "both"
	case r.to:
		sub = "to"
	case r.from:
		sub = "from"
	}
	ask := ""
	if r.out {
		ask = " ask='subscribe'"
	}
	return fmt.Sprintf("<item jid='%s@a.example' subscription='%s'%s/>", contact, sub, ask)
}

// script writes the transcript of a cell.
func (c transition) script() string {
	var b strings.Builder
	before, after := relationsOf(c.state), relationsOf(c.after)
	fmt.Fprintf(&b, "# In state %s, %q leads to %s (RFC 6121 Appendix A)\n", c.state, c.sends, c.after)
	fmt.Fprintf(&b, "relation romeo juliet %s\ninterested romeo/phone juliet/balcony\n", c.state)
	fmt.Fprintf(&b, "romeo/phone sends <presence to='juliet@a.example' type='%s'/>\n", c.sends)

	romeo := push(before, after, "juliet")
	juliet := push(before.mirror(), after.mirror(), "romeo")
	if c.delivered {
		juliet = append(juliet, fmt.Sprintf("<presence from='romeo@a.example' type='%s'/>", c.sends))
	}
	switch {
	case c.sends == "subscribe" && before.to: // granted again: whoever asks may have missed something
		romeo = append(romeo, "<presence from='juliet@a.example/balcony'/>")
	case before.to && !after.to:
		romeo = append(romeo, "<presence from='juliet@a.example/balcony' type='unavailable'/>")
	case before.from && !after.from:
		juliet = append(juliet, "<presence from='romeo@a.example/phone' type='unavailable'/>")
	case !before.from && after.from:
		juliet = append(juliet, "<presence from='romeo@a.example/phone'/>")
	}
	expect(&b, "romeo/phone", romeo)
	expect(&b, "juliet/balcony", juliet)
	b.WriteString("nobody gets anything\n\n# What is remembered:\n")
	remembered(&b, "romeo", "juliet", "balcony", before.listed(), after)
	remembered(&b, "juliet", "romeo", "phone", before.mirror().listed(), after.mirror())
	return b.String()
}

func expect(b *strings.Builder, who string, what []string) {
	if len(what) == 0 {
		fmt.Fprintf(b, "%s gets nothing\n", who)
		return
	}
	fmt.Fprintf(b, "%s gets in any order\n", who)
	for _, w := range what {
		fmt.Fprintf(b, "  %s\n", w)
	}
}

func push(before, after relations, contact string) []string {
	if !after.listed() && !before.listed() || before.item(contact) == after.item(contact) {
		return nil
	}
	return []string{"<iq type='set' id='{any}'><query xmlns='jabber:iq:roster' ver='{maybe}'>" + after.item(contact) + "</query></iq>"}
}

// remembered looks at the contact list, and at what a new session is told: the contact's presence by right, a request
// as long as it is not answered.
func remembered(b *strings.Builder, who, contact, resource string, listed bool, r relations) {
	fmt.Fprintf(b, "%s/new logs in\n%s/new sends <iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>\n", who, who)
	item := ""
	if listed || r.listed() {
		item = r.item(contact)
	}
	fmt.Fprintf(b, "%s/new gets <iq type='result' id='r'><query xmlns='jabber:iq:roster' ver='{maybe}'>%s</query></iq>\n", who, item)
	fmt.Fprintf(b, "%s/new sends <presence/>\n", who)
	own := map[string]string{"romeo": "phone", "juliet": "balcony"}[who]
	all := []string{fmt.Sprintf("<presence from='%s@a.example/new'/>", who), fmt.Sprintf("<presence from='%s@a.example/%s'/>", who, own)}
	if r.to {
		all = append(all, fmt.Sprintf("<presence from='%s@a.example/%s'/>", contact, resource))
	}
	if r.in {
		all = append(all, fmt.Sprintf("<presence from='%s@a.example' type='subscribe'/>", contact))
	}
	expect(b, who+"/new", all)
	fmt.Fprintf(b, "%s/new closes\neverybody skips what came\n", who)
}

func TestSubscriptionStates(t *testing.T) {
	for _, c := range transitions {
		t.Run(c.state+" "+c.sends, func(t *testing.T) {
			t.Parallel()
			playText(t, "appendixa_test.go", c.script())
		})
	}
}
