package delay

import (
	"testing"
	"time"

	"chancery/xmpp/jid"
)

func TestParseStamp(t *testing.T) {
	for text, want := range map[string]string{
		"1969-07-21T02:56:15Z":           "1969-07-21T02:56:15Z",
		"1969-07-20T21:56:15-05:00":      "1969-07-21T02:56:15Z",
		"2002-09-10T23:08:25.123Z":       "2002-09-10T23:08:25.123Z",
		"2002-09-10T23:08:25.123456789Z": "2002-09-10T23:08:25.123456Z",
		"2002-09-10T23:08:25":            "", // no zone
		"2002-09-10 23:08:25Z":           "",
		"20020910T23:08:25":              "", // the older form of jabber:x:delay
		"2002-09-10T23:08:25,5Z":         "",
		"2002-02-30T00:00:00Z":           "",
		"":                               "",
		"now":                            "",
	} {
		at, err := ParseStamp(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q was read as %v", text, at)
		case want != "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && Stamp(at) != want:
			t.Errorf("%q was read as %s, want %s", text, Stamp(at), want)
		}
	}
}

func TestDelaySaysWhoAndWhen(t *testing.T) {
	at := time.Date(2002, 9, 11, 1, 8, 25, 0, time.FixedZone("", 2*3600))
	got := string(Node(jid.MustParse("capulet.com"), at, "Offline Storage").Append(nil, "jabber:client"))
	want := `<delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'>Offline Storage</delay>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParseStamp(f *testing.F) {
	for _, s := range []string{"1969-07-21T02:56:15Z", "1969-07-20T21:56:15-05:00", "2002-09-10T23:08:25.123Z", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := ParseStamp(s)
		if err != nil || at.Year() < 0 || at.Year() > 9999 {
			return
		}
		again, err := ParseStamp(Stamp(at))
		if err != nil || !again.Equal(at.Truncate(time.Microsecond)) {
			t.Fatalf("%q became %q, then %v, %v", s, Stamp(at), again, err)
		}
	})
}
