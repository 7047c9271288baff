// Package obs is how a node is watched: its log, its metrics, its health, what it was built from.
package obs

import (
	"io"
	"log/slog"
	"os"
	"strings"
)

// LogOptions says how lines look.
type LogOptions struct {
	Level  slog.Level // the least important lines that are written
	JSON   bool       // one object a line; else text for people
	Colour bool       // only for text
}

// NewLog writes lines to w, and copies them to a tail that administrators can follow. Handing w to others as well would
// mix their bytes into lines.
func NewLog(w io.Writer, o LogOptions) (*slog.Logger, *Tail) {
	var out slog.Handler
	if o.JSON {
		out = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: o.Level, ReplaceAttr: hideSecrets})
	} else {
		out = newText(w, o.Level, o.Colour)
	}
	tail := newTail()
	return slog.New(tee{out, tail.handler()}), tail
}

// ParseLevel reads debug, info, warn or error; anything else is info.
func ParseLevel(text string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// Terminal tells whether somebody reads f as it is written, and whether he likes colours (https://no-color.org).
func Terminal(f *os.File) (terminal, colour bool) {
	info, err := f.Stat()
	terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	return terminal, terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// hideSecrets is the net below the habit of not logging secrets at all.
func hideSecrets(_ []string, a slog.Attr) slog.Attr {
	if secretKey(a.Key) {
		a.Value = slog.StringValue("(hidden)")
	}
	return a
}

func secretKey(key string) bool {
	switch strings.ToLower(key) {
	case "password", "passwd", "secret", "token", "authorization", "cookie", "dsn", "private_key", "body":
		return true
	}
	return false
}
