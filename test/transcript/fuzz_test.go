package transcript

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chancery/test/node"
)

// states are the places in the life of a connection at which a stranger may begin to write nonsense. Each leads there
// with the steps of a script; mallory has an account, like anybody.
var states = []string{
	"mallory connects\n",
	"mallory connects strictly\n",
	"mallory connects\nmallory opens\n",
	"mallory connects with TLS\n",
	"mallory connects with TLS\nmallory opens\n",
	"mallory connects with TLS\nmallory opens\nmallory sends <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{scram-first romeo SCRAM-SHA-1 n,,}</auth>\nmallory skips what came\n",
	"mallory connects with TLS\nmallory opens\nmallory authenticates as romeo\n",
	"romeo/mallory logs in\n",
	"clients romeo/mallory\n",
	"clients romeo/mallory\nromeo/mallory sends <enable xmlns='urn:xmpp:sm:3' resume='true'/>\nromeo/mallory skips what came\n",
	"clients romeo/mallory\nromeo/mallory sends <inactive xmlns='urn:xmpp:csi:0'/>\n",
}

// FuzzConnections writes bytes into every state of a connection to the whole server. Whatever they are: what the server
// answers is XMPP to another parser too, its log has no error, and two honest people talk on as if nothing had been.
func FuzzConnections(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s.state, s.bytes)
	}
	f.Fuzz(func(t *testing.T, state uint8, b []byte) {
		stage.Run(t, func(t *testing.T, n *node.Node) {
			r := &run{node: n, values: values{}}
			defer r.close()
			if err := r.play("clients juliet/balcony nurse/kitchen\n" + states[int(state)%len(states)]); err != nil {
				t.Fatal(err)
			}
			mallory := r.parties[len(r.parties)-1]
			r.skipAll()
			mallory.conn.Send(string(b))
			n.Quiet()
			for _, e := range mallory.conn.Take() {
				if e.Kind == node.Broken && state%uint8(len(states)) > 2 {
					t.Errorf("mallory can make the server say what is no XMPP: %v", e.Err)
				}
			}
			honest := r.parties[:2]
			for _, p := range honest {
				for _, e := range p.conn.Take() {
					if e.Kind != node.Stanza || !isStanza(e.Elem) || !strings.HasPrefix(e.Elem.Attr("from"), "romeo@a.example") {
						t.Errorf("mallory can make %s hear %s", p.name, e)
					}
				}
			}
			if err := r.play(talk); err != nil {
				t.Error(err)
			}
		})
	})
}

// talk is what must always work. It begins with a new session, since mallory has juliet's address and may have removed
// or changed nothing of hers.
const talk = `nurse/kitchen sends <message to='juliet@a.example/balcony' type='chat' id='talk'><body>Madam!</body></message>
juliet/balcony gets <message from='nurse@a.example/kitchen' type='chat' id='talk'><body>Madam!</body></message>
`

// play runs steps that are no whole script.
func (r *run) play(steps string) error {
	s, err := Parse("steps", "# steps\n"+steps)
	if err != nil {
		return err
	}
	for _, st := range s.Steps {
		if err := r.step(st); err != nil {
			return fmt.Errorf("%s\n%w", st, err)
		}
	}
	return nil
}

// seed is an input of the fuzz target.
type seed struct {
	state uint8
	bytes []byte
}

// seeds are what the scripts send, one seed for each party of each script.
func seeds(f *testing.F) []seed {
	var all []seed
	seen := map[string]bool{}
	err := fs.WalkDir(scripts, "scripts", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".txt") {
			return err
		}
		s, err := Open(scripts, name)
		if err != nil {
			return err
		}
		for _, one := range seedsOf(s) {
			if !seen[string(one.bytes)] {
				seen[string(one.bytes)] = true
				all = append(all, one)
			}
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	return all
}

func seedsOf(s *Script) []seed {
	sent := map[string]*strings.Builder{}
	var order []string
	stranger := map[string]bool{}
	for _, st := range s.Steps {
		switch {
		case strings.HasPrefix(st.Verb, "connects"):
			stranger[st.Who] = true
		case strings.HasPrefix(st.Verb, "sends"):
			if sent[st.Who] == nil {
				sent[st.Who] = &strings.Builder{}
				order = append(order, st.Who)
			}
			sent[st.Who].WriteString(literally(st))
		}
	}
	var out []seed
	for _, who := range order {
		state := uint8(8)
		if stranger[who] {
			state = uint8(slices.Index(states, states[4]))
		}
		out = append(out, seed{state, []byte(sent[who].String())})
	}
	return out
}

var functions = regexp.MustCompile(`\{[^{}]*\}`)

// literally is what a step sends, without what only a running script knows, and with repetitions cut short.
func literally(st Step) string {
	if st.Verb == "sends" {
		return functions.ReplaceAllString(st.Arg, "x")
	}
	var b strings.Builder
	for rest := st.Arg; rest != ""; rest = strings.TrimSpace(repetition.ReplaceAllString(strings.TrimSpace(rest), "")) {
		lit, err := strconv.QuotedPrefix(rest)
		if err != nil {
			break
		}
		text, _ := strconv.Unquote(lit)
		b.WriteString(strings.Repeat(text, 1+strings.Count(rest[len(lit):min(len(rest), len(lit)+1)], "*")*50))
		rest = rest[len(lit):]
	}
	return b.String()
}
