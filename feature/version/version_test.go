package version

import (
	"testing"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
)

func TestServerSaysWhatItIsAndNotWhereItRuns(t *testing.T) {
	got, err := routetest.Ask(t, Module("Test", "1.2 <dirty>"), route.Server, routetest.Stranger("x@b.example", account.Account{}), "get", `<query xmlns='jabber:iq:version'/>`)
	const want = `<query xmlns='jabber:iq:version'><name>Test</name><version>1.2 &lt;dirty&gt;</version></query>`
	if got != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
