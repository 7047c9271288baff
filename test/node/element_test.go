package node

import (
	"strings"
	"testing"
)

func TestElementsAreReadLikeXML(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{`<message to="a" id='1'><body>x &amp; y</body></message>`, `<message id='1' to='a'><body>x &amp; y</body></message>`, ""},
		{`<p:a xmlns:p='u' p:k='1'><b xmlns='odd'/></p:a>`, `<a xmlns='u' {u}k='1'><b xmlns='odd'/></a>`, ""},
		{`<a xml:lang='en'/>`, `<a xml:lang='en'/>`, ""},
		{`<stream:error/>`, `<stream:error/>`, ""},
		{`<p:a/>`, "", "undeclared prefix"},
		{`<a xmlns:p='u'/><p:b/>`, "", "undeclared prefix"},
		{`<a p:k='1'/>`, "", "undeclared prefix"},
		{`<a xmlns:p='u' xmlns:q='u' p:k='1' q:k='2'/>`, "", "twice"},
		{`<a><!-- x --></a>`, "", "Comment"},
		{`<a>`, "", "element"},
	} {
		all, err := ParseElements(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, wanted an error with %q", c.in, err, c.err)
			}
		case err != nil || len(all) != 1 || all[0].String() != c.want:
			t.Errorf("%s: %v %v, wanted %s", c.in, all, err, c.want)
		}
	}
}
