package entitytime

import (
	"testing"
	"testing/synctest"
	"time"

	"chancery/core/account"
	"chancery/core/route"
	"chancery/core/route/routetest"
)

func TestTimeIsUTC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000
		time.Sleep(90*time.Second + 500*time.Millisecond)
		got, err := routetest.Ask(t, Module(), route.Server, routetest.Stranger("x@b.example", account.Account{}), "get", `<time xmlns='urn:xmpp:time'/>`)
		const want = `<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2000-01-01T00:01:30Z</utc></time>`
		if got != want || err != nil {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	})
}
