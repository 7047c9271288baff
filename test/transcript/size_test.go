package transcript

import (
	"fmt"
	"strings"
	"testing"

	"chancery/test/node"
)

// Whatever tricks are played with prefixes and references, what arrives is not much larger than what was sent: nobody's
// connection or memory can be used up at a discount (RFC 6120 §13.12).
func TestWhatArrivesIsNotMuchLargerThanWhatWasSent(t *testing.T) {
	long := "urn:example:" + strings.Repeat("n", 3000)
	many := func(s string) string { return strings.Repeat(s, 2000) }
	for name, payload := range map[string]string{
		"a prefix declared once, used often":         "<x xmlns='urn:example:x' xmlns:p='" + long + "'>" + many("<p:a/>") + "</x>",
		"a prefix declared on the stanza":            many("<p:a/>"),
		"a prefixed attribute":                       "<x xmlns='urn:example:x' xmlns:p='" + long + "'>" + many("<a p:b=''/>") + "</x>",
		"two default namespaces, to and fro":         "<x xmlns='" + long + "' xmlns:y='urn:example:y'>" + many("<y:a/>") + "</x>",
		"nested to and fro":                          "<x xmlns='urn:example:x' xmlns:p='" + long + "'>" + strings.Repeat("<p:a><a>", 20) + strings.Repeat("</a></p:a>", 20) + "</x>",
		"quotes that must be escaped in a value":     "<x xmlns='urn:example:x' a=\"" + many("'") + "\"/>",
		"less-than signs in CDATA":                   "<body><![CDATA[" + many("<&>") + "]]></body>",
		"a declaration that nobody uses, many times": strings.Repeat("<x xmlns='urn:example:x' xmlns:p='"+long+"'/>", 20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stage.Run(t, func(t *testing.T, n *node.Node) {
				r := &run{node: n, values: values{}}
				defer r.close()
				if err := r.play("clients romeo/phone juliet/balcony\n"); err != nil {
					t.Fatal(err)
				}
				romeo, juliet := r.parties[0].conn, r.parties[1].conn
				before := juliet.Received()
				sent := fmt.Sprintf("<message xmlns:p='%s' to='juliet@a.example/balcony' type='chat'>%s</message>", long, payload)
				romeo.Send(sent)
				n.Quiet()
				got := juliet.Received() - before
				if got > 8*len(sent) {
					t.Errorf("%d bytes were sent, %d came", len(sent), got)
				}
				if got > 0 {
					return
				}
				if e, ok := romeo.Peek(); !ok {
					t.Error("it neither came nor was refused")
				} else {
					t.Logf("refused: %s", e)
				}
			})
		})
	}
}
