package obs

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func textLine(t *testing.T, log func(*slog.Logger)) string {
	t.Helper()
	b := new(bytes.Buffer)
	l, _ := NewLog(b, LogOptions{})
	log(l)
	_, line, _ := strings.Cut(b.String(), " ") // the time
	return line
}

func TestTextIsReadable(t *testing.T) {
	got := textLine(t, func(l *slog.Logger) {
		l.With("conn", "c7").WithGroup("tls").Warn("certificate expires soon", "domain", "example.org", "left", 36*time.Hour, slog.Group("by", "name", "R 11"))
	})
	if want := `WARN  certificate expires soon  conn=c7 tls.domain=example.org tls.left=36h0m0s tls.by.name="R 11"` + "\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestValuesCannotForgeLines(t *testing.T) {
	got := textLine(t, func(l *slog.Logger) {
		l.Info("refused", "who", "x\n12:00:00.000 INFO  user is administrator\x1b[2J")
	})
	if strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
}

func TestSecretsAreHiddenInEveryFormat(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		b := new(bytes.Buffer)
		l, tail := NewLog(b, LogOptions{JSON: asJSON})
		l.With("token", "hunter2").Info("x", "Password", "hunter2", slog.Group("g", "secret", "hunter2"))
		lines, f := tail.Follow(slog.LevelInfo, 1)
		f.Close()
		for _, s := range []string{b.String(), string(lines[0])} {
			if strings.Contains(s, "hunter2") || strings.Count(s, "(hidden)") != 3 {
				t.Error(s)
			}
		}
	}
}

func TestFollowerSeesLinesBelowTheLevelOfTheLog(t *testing.T) {
	b := new(bytes.Buffer)
	l, tail := NewLog(b, LogOptions{Level: slog.LevelWarn})
	l.Debug("nobody follows")
	_, f := tail.Follow(slog.LevelDebug, 0)
	l.Debug("seen", "n", 1)
	var line struct {
		Msg string
		N   int
	}
	if err := json.Unmarshal(<-f.C, &line); err != nil || line.Msg != "seen" || line.N != 1 {
		t.Error(line, err)
	}
	f.Close()
	l.Debug("nobody follows")
	if b.Len() > 0 {
		t.Error("written:", b)
	}
	if lines, f := tail.Follow(slog.LevelDebug, 10); len(lines) != 1 {
		t.Errorf("kept %d lines", len(lines))
	} else {
		f.Close()
	}
}

func TestSlowFollowerMissesLinesAndLearnsHowMany(t *testing.T) {
	l, tail := NewLog(new(bytes.Buffer), LogOptions{})
	_, f := tail.Follow(slog.LevelInfo, 0)
	defer f.Close()
	for range followLines + 3 {
		l.Info("x")
	}
	if n := f.Missed(); n != 3 {
		t.Errorf("missed %d", n)
	}
}

func TestTailKeepsTheNewestLines(t *testing.T) {
	l, tail := NewLog(new(bytes.Buffer), LogOptions{})
	for i := range tailLines + 5 {
		l.Info("x", "i", i)
	}
	l.Info("long", "x", strings.Repeat("x", tailBytes))
	lines, f := tail.Follow(slog.LevelInfo, 2)
	f.Close()
	if len(lines) != 2 || !strings.Contains(string(lines[1]), `"i":1004`) || !strings.Contains(string(lines[0]), `"i":1003`) {
		t.Errorf("%s", lines)
	}
}
