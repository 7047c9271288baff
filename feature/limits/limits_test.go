package limits

import (
	"testing"
	"time"

	"chancery/core/settings"
)

func TestFeature(t *testing.T) {
	s := settings.Defaults()
	s.C2S.PreAuth.StanzaBytes, s.C2S.StanzaBytes, s.C2S.PingAfter = 16384, 262144, 300*time.Second
	silent := *s
	silent.C2S.PingAfter = 0
	for _, c := range []struct {
		name          string
		set           *settings.Settings
		authenticated bool
		want          string
	}{
		{"a stranger is told the small limit", s, false, `<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>`},
		{"a client is told both limits", s, true, `<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes><idle-seconds>300</idle-seconds></limits>`},
		{"without pings silence has no limit", &silent, true, `<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits>`},
	} {
		if got := string(Feature(c.set, c.authenticated).Append(nil, "")); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}
