package transcript

import (
	"strings"
	"testing"

	"chancery/test/node"
)

// What a script says that is not so is reported, with what came, what was wanted and where.
func TestWrongScriptsFail(t *testing.T) {
	for _, c := range []struct {
		name, script string
		report       []string
	}{
		{"something else comes", `# t
clients romeo/phone juliet/balcony
romeo/phone sends <message to='juliet@a.example' type='chat'><body>x</body></message>
juliet/balcony gets <message from='romeo@a.example/phone' type='chat'><body>y</body></message>
`, []string{`wrong.txt:4: juliet/balcony gets`, `text "x", wanted "y"`, `came:   <message from='romeo@a.example/phone'`}},
		{"nothing comes", "# t\nclients romeo/phone\nromeo/phone gets <presence/>\n", []string{"wrong.txt:3:", "nothing more came"}},
		{"something is left", "# t\nclients romeo/phone\nromeo/phone sends <presence/>\n", []string{"wrong.txt: the script is over", "wanted: nothing for romeo/phone"}},
		{"somebody is not silent", "# t\nclients romeo/phone\nromeo/phone sends <presence/>\nnobody gets anything\n", []string{"wrong.txt:4: nobody gets anything", "<presence"}},
		{"the connection ends", "# t\nclients romeo/phone\nromeo/phone sends <x/>\nromeo/phone gets nothing\n", []string{"wrong.txt:4:", "unsupported-stanza-type"}},
		{"the connection does not end", "# t\nclients romeo/phone\nromeo/phone is cut\n", []string{"wrong.txt:3:", "the connection still stands"}},
		{"one of a group is missing", "# t\nclients romeo/phone\nromeo/phone sends <presence/>\nromeo/phone gets in any order <presence from='romeo@a.example/phone'/><iq/>\n", []string{"did not come: <iq/>"}},
		{"a variable is unknown", "# t\nclients romeo/phone\nromeo/phone sends <iq id='{nothing}'/>\n", []string{"{nothing} is not known here"}},
		{"a variable differs", "# t\nclients romeo/phone\nromeo/phone sends <iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq><iq type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>\n" +
			"romeo/phone gets <iq type='result' id='{i}'/><iq type='result' id='{i}'/>\n", []string{`id="2", wanted "1"`}},
		{"a password is wrong", "# t\nromeo/phone authenticates password wrong\n", []string{"not-authorized"}},
		{"a setting does not exist", "# t\nsetting no.such 1\n", []string{"wrong.txt:2:", "no.such"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse("wrong.txt", c.script)
			if err != nil {
				t.Fatal(err)
			}
			stage.Run(t, func(t *testing.T, n *node.Node) {
				err := Run(n, s)
				if err == nil {
					t.Fatal("the script passed")
				}
				for _, part := range c.report {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("the report lacks %q:\n%v", part, err)
					}
				}
			})
		})
	}
}
