package transcript

import (
	"fmt"
	"strings"
	"testing"
)

// What becomes of a message, as in the legend of RFC 6121 §8.5.4.
const (
	silence = 'S' // nobody hears of it
	bounce  = 'E' // <service-unavailable/> to the sender
	offline = 'O' // kept until juliet comes
	deliver = 'D' // to the resource it names
	all     = 'A' // to every resource with a priority that is not negative
)

// delivery is the table of RFC 6121 §8.5.4, with a column for errors (§8.5.2, §8.5.3), and with our choice where the RFC
// leaves one: 'S' may be an error where the sender deserves to know that nobody will read his message, and "most
// available" (M) is everybody who is not negative, since people read on the device at hand.
var delivery = []struct {
	condition                              string // what juliet has
	address                                string // bare, match (juliet/balcony is there), other (juliet/garden is not)
	normal, chat, groupchat, headline, err rune
}{
	{"no account", "bare", bounce, bounce, bounce, bounce, silence},
	{"no account", "other", bounce, bounce, bounce, bounce, silence},

	{"no session", "bare", offline, offline, bounce, silence, silence},
	{"no session", "other", bounce, offline, bounce, silence, silence},

	{"only connected", "bare", offline, offline, bounce, silence, silence},
	{"only connected", "match", deliver, deliver, deliver, deliver, deliver},
	{"only connected", "other", bounce, offline, bounce, silence, silence},

	{"only negative", "bare", offline, offline, bounce, silence, silence},
	{"only negative", "match", deliver, deliver, deliver, deliver, deliver},
	{"only negative", "other", bounce, offline, bounce, silence, silence},

	{"one available", "bare", all, all, bounce, all, silence},
	{"one available", "match", deliver, deliver, deliver, deliver, deliver},
	{"one available", "other", bounce, all, bounce, silence, silence},

	{"many available", "bare", all, all, bounce, all, silence},
	{"many available", "match", deliver, deliver, deliver, deliver, deliver},
	{"many available", "other", bounce, all, bounce, silence, silence},
}

// stages sets a condition up. Of many, balcony is positive, hall zero and cellar negative; orchard is only connected.
var stages = map[string]string{
	"no account":     "clients romeo/phone\n",
	"no session":     "accounts juliet\nclients romeo/phone\n",
	"only connected": "clients romeo/phone\njuliet/balcony logs in\n",
	"only negative":  "clients romeo/phone\njuliet/balcony logs in\njuliet/balcony sends <presence><priority>-1</priority></presence>\neverybody skips what came\n",
	"one available":  "clients romeo/phone juliet/balcony\n",
	"many available": "clients romeo/phone\njuliet/orchard logs in\njuliet/cellar logs in\njuliet/hall logs in\njuliet/balcony logs in\n" +
		"juliet/cellar sends <presence><priority>-5</priority></presence>\njuliet/hall sends <presence/>\n" +
		"juliet/balcony sends <presence><priority>5</priority></presence>\neverybody skips what came\n",
}

var receivers = map[string][]string{"one available": {"juliet/balcony"}, "many available": {"juliet/balcony", "juliet/hall"}}

// addressOf is juliet's, or that of somebody who does not exist.
func addressOf(condition, address string) string {
	to := map[string]string{"bare": "juliet@a.example", "match": "juliet@a.example/balcony", "other": "juliet@a.example/garden"}[address]
	if condition == "no account" {
		to = strings.Replace(to, "juliet", "nobody", 1)
	}
	return to
}

func deliveryScript(condition, address, typ string, outcome rune) string {
	var b strings.Builder
	to := addressOf(condition, address)
	attr := fmt.Sprintf("type='%s'", typ)
	inner := "<body>hark</body>"
	if typ == "error" {
		inner = "{error cancel item-not-found}"
	}
	fmt.Fprintf(&b, "# A %s message, %s address, %s: %c (RFC 6121 §8.5.4)\n%s", typ, address, condition, outcome, stages[condition])
	fmt.Fprintf(&b, "romeo/phone sends <message id='m' to='%s' %s>%s</message>\n", to, attr, inner)
	received := fmt.Sprintf("<message id='m' from='romeo@a.example/phone' to='%s' %s>%s", to, attr, inner)
	switch outcome {
	case bounce:
		fmt.Fprintf(&b, "romeo/phone gets <message id='m' from='%s' type='error'>{error cancel service-unavailable}</message>\n", to)
	case deliver:
		fmt.Fprintf(&b, "juliet/balcony gets %s</message>\n", received)
	case all:
		for _, r := range receivers[condition] {
			fmt.Fprintf(&b, "%s gets %s</message>\n", r, received)
		}
	}
	b.WriteString("nobody gets anything\n")

	// What was kept comes when she comes, and nothing else does.
	if condition == "no account" {
		return b.String()
	}
	b.WriteString("juliet/late logs in\njuliet/late sends <presence/>\n")
	if outcome == offline {
		fmt.Fprintf(&b, "juliet/late gets in any order <presence from='juliet@a.example/late'/> %s<delay xmlns='urn:xmpp:delay' from='{maybe}' stamp='{datetime}'>{more}</delay></message>", received)
	} else {
		b.WriteString("juliet/late gets in any order <presence from='juliet@a.example/late'/>")
	}
	for _, s := range map[string][]string{"only negative": {"balcony:-1"}, "one available": {"balcony"}, "many available": {"balcony:5", "hall", "cellar:-5"}}[condition] {
		name, priority, ok := strings.Cut(s, ":")
		if ok {
			priority = "<priority>" + priority + "</priority>"
		}
		fmt.Fprintf(&b, "<presence from='juliet@a.example/%s'>%s</presence>", name, priority)
	}
	b.WriteString("\njuliet/late gets nothing\nromeo/phone gets nothing\neverybody skips what came\n")
	return b.String()
}

func TestDeliveryOfMessages(t *testing.T) {
	for _, c := range delivery {
		for typ, outcome := range map[string]rune{"normal": c.normal, "chat": c.chat, "groupchat": c.groupchat, "headline": c.headline, "error": c.err} {
			t.Run(fmt.Sprintf("%s/%s/%s", c.condition, c.address, typ), func(t *testing.T) {
				t.Parallel()
				playText(t, "delivery_test.go", deliveryScript(c.condition, c.address, typ, outcome))
			})
		}
	}
}

// What becomes of presence and iq, by RFC 6121 §8.5.1 to §8.5.3: to whom it goes, or that an iq is answered.
const (
	everybody = 'P' // to every available session, whatever its priority
	answered  = 'Q' // the server answers on behalf of the account: service-unavailable, since it knows no such question
)

var deliveryOfTheRest = []struct {
	condition, address            string
	available, unavailable, probe rune // presence
	query, result                 rune // iq of type get, iq of type result
}{
	{"no account", "bare", silence, silence, silence, answered, silence},
	{"no account", "other", silence, silence, silence, answered, silence},

	{"no session", "bare", silence, silence, silence, answered, silence},
	{"no session", "other", silence, silence, silence, answered, silence},

	{"only connected", "bare", silence, silence, silence, answered, silence},
	{"only connected", "match", deliver, deliver, silence, deliver, deliver},
	{"only connected", "other", silence, silence, silence, answered, silence},

	{"only negative", "bare", everybody, everybody, silence, answered, silence},
	{"only negative", "match", deliver, deliver, silence, deliver, deliver},
	{"only negative", "other", silence, silence, silence, answered, silence},

	{"one available", "bare", everybody, everybody, silence, answered, silence},
	{"one available", "match", deliver, deliver, silence, deliver, deliver},
	{"one available", "other", silence, silence, silence, answered, silence},

	{"many available", "bare", everybody, everybody, silence, answered, silence},
	{"many available", "match", deliver, deliver, silence, deliver, deliver},
	{"many available", "other", silence, silence, silence, answered, silence},
}

var present = map[string][]string{
	"only negative": {"juliet/balcony"}, "one available": {"juliet/balcony"}, "many available": {"juliet/balcony", "juliet/hall", "juliet/cellar"},
}

// restScript writes the transcript of one cell. The first word of what is the stanza's name, the second its type.
func restScript(condition, address, what string, outcome rune) string {
	name, typ, _ := strings.Cut(what, " ")
	to := addressOf(condition, address)
	attrs, inner := "", ""
	if typ != "" {
		attrs = fmt.Sprintf(" type='%s'", typ)
	}
	if name == "iq" {
		inner = "<query xmlns='urn:example:question'/>"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s to a %s address, %s: %c (RFC 6121 §8.5)\n%s", what, address, condition, outcome, stages[condition])
	fmt.Fprintf(&b, "romeo/phone sends <%s id='s' to='%s'%s>%s</%s>\n", name, to, attrs, inner, name)
	got := fmt.Sprintf("<%s id='s' from='romeo@a.example/phone' to='%s'%s>%s</%s>\n", name, to, attrs, inner, name)
	switch outcome {
	case answered:
		fmt.Fprintf(&b, "romeo/phone gets <iq id='s' from='%s' type='error'>{error cancel service-unavailable}</iq>\n", to)
	case deliver:
		fmt.Fprintf(&b, "juliet/balcony gets %s", got)
	case everybody:
		for _, p := range present[condition] {
			fmt.Fprintf(&b, "%s gets %s", p, got)
		}
	}
	b.WriteString("nobody gets anything\n")
	return b.String()
}

func TestDeliveryOfPresenceAndQueries(t *testing.T) {
	for _, c := range deliveryOfTheRest {
		for what, outcome := range map[string]rune{"presence": c.available, "presence unavailable": c.unavailable, "presence probe": c.probe, "iq get": c.query, "iq result": c.result} {
			t.Run(fmt.Sprintf("%s/%s/%s", c.condition, c.address, what), func(t *testing.T) {
				t.Parallel()
				playText(t, "delivery_test.go", restScript(c.condition, c.address, what, outcome))
			})
		}
	}
}
