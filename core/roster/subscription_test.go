package roster

import (
	"strings"
	"testing"

	"chancery/xmpp/jid"
	"chancery/xmpp/stanza"
)

var (
	romeo  = jid.MustParse("romeo@a.example")
	juliet = jid.MustParse("juliet@a.example")
	nurse  = jid.MustParse("nurse@a.example")
)

func request(from jid.JID) *stanza.Stanza {
	return &stanza.Stanza{Kind: stanza.Presence, Type: subscribe, From: from, To: romeo}
}

// in makes an item of a state of RFC 6121 appendix A.1, such as "None + Pending
// Out+In". "approved" is §3.4's, "stranger" and "stranger + Pending In" are those
// who stand in no roster.
func in(state string) Item {
	sub, pending, _ := strings.Cut(state, " + ")
	i := Item{JID: juliet, Listed: sub != "stranger"}
	i.To = sub == "To" || sub == "Both"
	i.From = sub == "From" || sub == "Both"
	i.Approved = strings.Contains(pending, "approved")
	i.Ask = strings.Contains(pending, "Out")
	if strings.Contains(pending, "In") {
		i.Asked = request(juliet)
	}
	return i
}

func state(i Item) string {
	s := map[string]string{"none": "None", "to": "To", "from": "From", "both": "Both"}[i.Subscription()]
	if !i.Listed {
		s = "stranger"
	}
	switch {
	case i.Ask && i.Asked != nil:
		s += " + Pending Out+In"
	case i.Ask:
		s += " + Pending Out"
	case i.Asked != nil:
		s += " + Pending In"
	}
	if i.Approved {
		s += " + approved"
	}
	return s
}

const unchanged = "" // no state change

// The tables of appendix A.2, with the rows of §3.4 (pre-approval) and of
// strangers, who are "None" without an item.
func TestOutboundSubscriptions(t *testing.T) {
	type row struct {
		state string
		route bool
		next  string
	}
	for typ, rows := range map[string][]row{
		subscribe: { // A.2.1
			{"None", true, "None + Pending Out"},
			{"None + Pending Out", true, unchanged},
			{"None + Pending In", true, "None + Pending Out+In"},
			{"None + Pending Out+In", true, unchanged},
			{"To", true, unchanged},
			{"To + Pending In", true, unchanged},
			{"From", true, "From + Pending Out"},
			{"From + Pending Out", true, unchanged},
			{"Both", true, unchanged},
			{"stranger", true, "None + Pending Out"},
			{"stranger + Pending In", true, "None + Pending Out+In"},
			{"None + approved", true, "None + Pending Out + approved"},
		},
		unsubscribe: { // A.2.2
			{"None", true, unchanged},
			{"None + Pending Out", true, "None"},
			{"None + Pending In", true, unchanged},
			{"None + Pending Out+In", true, "None + Pending In"},
			{"To", true, "None"},
			{"To + Pending In", true, "None + Pending In"},
			{"From", true, unchanged},
			{"From + Pending Out", true, "From"},
			{"Both", true, "From"},
			{"stranger", true, unchanged},
			{"stranger + Pending In", true, unchanged},
		},
		subscribed: { // A.2.3
			{"None", false, "None + approved"},
			{"None + Pending Out", false, "None + Pending Out + approved"},
			{"None + Pending In", true, "From"},
			{"None + Pending Out+In", true, "From + Pending Out"},
			{"To", false, "To + approved"},
			{"To + Pending In", true, "Both"},
			{"From", false, unchanged},
			{"From + Pending Out", false, unchanged},
			{"Both", false, unchanged},
			{"stranger", false, "None + approved"},
			{"stranger + Pending In", true, "From"},
			{"None + approved", false, unchanged},
		},
		unsubscribed: { // A.2.4
			{"None", false, unchanged},
			{"None + Pending Out", false, unchanged},
			{"None + Pending In", true, "None"},
			{"None + Pending Out+In", true, "None + Pending Out"},
			{"To", false, unchanged},
			{"To + Pending In", true, "To"},
			{"From", true, "None"},
			{"From + Pending Out", true, "None + Pending Out"},
			{"Both", true, "To"},
			{"stranger", false, unchanged},
			{"stranger + Pending In", true, "stranger"},
			{"None + approved", false, "None"},
			{"To + approved", false, "To"},
		},
	} {
		for _, c := range rows {
			if c.next == unchanged {
				c.next = c.state
			}
			next, route := outbound(in(c.state), typ)
			if state(next) != c.next || route != c.route {
				t.Errorf("%s in %q: %q, routed %v; want %q, %v", typ, c.state, state(next), route, c.next, c.route)
			}
		}
	}
}

// The tables of appendix A.3.
func TestInboundSubscriptions(t *testing.T) {
	type row struct {
		state   string
		deliver bool
		next    string
		grant   bool // the server answers subscribed
	}
	for typ, rows := range map[string][]row{
		subscribe: { // A.3.1
			{"None", true, "None + Pending In", false},
			{"None + Pending Out", true, "None + Pending Out+In", false},
			{"None + Pending In", false, unchanged, false},
			{"None + Pending Out+In", false, unchanged, false},
			{"To", true, "To + Pending In", false},
			{"To + Pending In", false, unchanged, false},
			{"From", false, unchanged, true},
			{"From + Pending Out", false, unchanged, true},
			{"Both", false, unchanged, true},
			{"stranger", true, "stranger + Pending In", false},
			{"stranger + Pending In", false, unchanged, false},
			{"None + approved", false, "From + approved", true},
			{"None + Pending Out + approved", false, "From + Pending Out + approved", true},
			{"To + approved", false, "Both + approved", true},
		},
		unsubscribe: { // A.3.2
			{"None", false, unchanged, false},
			{"None + Pending Out", false, unchanged, false},
			{"None + Pending In", true, "None", false},
			{"None + Pending Out+In", true, "None + Pending Out", false},
			{"To", false, unchanged, false},
			{"To + Pending In", true, "To", false},
			{"From", true, "None", false},
			{"From + Pending Out", true, "None + Pending Out", false},
			{"Both", true, "To", false},
			{"stranger", false, unchanged, false},
			{"stranger + Pending In", true, "stranger", false},
		},
		subscribed: { // A.3.3
			{"None", false, unchanged, false},
			{"None + Pending Out", true, "To", false},
			{"None + Pending In", false, unchanged, false},
			{"None + Pending Out+In", true, "To + Pending In", false},
			{"To", false, unchanged, false},
			{"To + Pending In", false, unchanged, false},
			{"From", false, unchanged, false},
			{"From + Pending Out", true, "Both", false},
			{"Both", false, unchanged, false},
			{"stranger", false, unchanged, false},
		},
		unsubscribed: { // A.3.4
			{"None", false, unchanged, false},
			{"None + Pending Out", true, "None", false},
			{"None + Pending In", false, unchanged, false},
			{"None + Pending Out+In", true, "None + Pending In", false},
			{"To", true, "None", false},
			{"To + Pending In", true, "None + Pending In", false},
			{"From", false, unchanged, false},
			{"From + Pending Out", true, "From", false},
			{"Both", true, "From", false},
			{"stranger", false, unchanged, false},
			{"None + Pending Out + approved", true, "None + approved", false}, // §3.4.2 survives
		},
	} {
		for _, c := range rows {
			if c.next == unchanged {
				c.next = c.state
			}
			next, deliver, grant := inbound(in(c.state), &stanza.Stanza{Kind: stanza.Presence, Type: typ, From: juliet, To: romeo})
			if state(next) != c.next || deliver != c.deliver || grant != c.grant {
				t.Errorf("%s in %q: %q, delivered %v, granted %v; want %q, %v, %v", typ, c.state, state(next), deliver, grant, c.next, c.deliver, c.grant)
			}
		}
	}
}

func TestLongRequestsAreKeptShort(t *testing.T) {
	long := request(juliet)
	long.Payload = make([]byte, maxRequest+1)
	next, deliver, _ := inbound(in("stranger"), long)
	if !deliver || next.Asked == nil || len(next.Asked.Payload) != 0 || len(long.Payload) == 0 {
		t.Errorf("delivered %v, kept %+v", deliver, next.Asked)
	}
}
