package obs

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// text writes lines for people:
//
//	15:04:05.000 WARN  certificate expires soon  domain=example.org days=6
//
// What comes from outside cannot break out of its value: control characters are escaped.
type text struct {
	out    *lockedWriter
	level  slog.Level
	colour bool
	prefix string // of the keys, from WithGroup
	attrs  []byte // already written
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func newText(w io.Writer, level slog.Level, colour bool) *text {
	return &text{out: &lockedWriter{w: w}, level: level, colour: colour}
}

func (h *text) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *text) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	if !r.Time.IsZero() {
		b = h.paint(b, dim, r.Time.Format("15:04:05.000"))
		b = append(b, ' ')
	}
	b = h.paint(b, levelColour(r.Level), levelName(r.Level))
	b = append(b, ' ')
	b = appendSafe(b, r.Message)
	b = append(b, ' ')
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = h.attr(b, h.prefix, a)
		return true
	})
	for b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	b = append(b, '\n')
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(b)
	return err
}

func (h *text) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		c.attrs = h.attr(c.attrs, h.prefix, a)
	}
	return &c
}

func (h *text) WithGroup(name string) slog.Handler {
	c := *h
	c.prefix += name + "."
	return &c
}

func (h *text) attr(b []byte, prefix string, a slog.Attr) []byte {
	a = hideSecrets(nil, a)
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, below := range v.Group() {
			b = h.attr(b, prefix, below)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	b = append(b, ' ')
	b = h.paint(b, dim, prefix+a.Key+"=")
	return appendValue(b, v)
}

func appendValue(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().AppendFormat(b, time.RFC3339)
	case slog.KindDuration:
		return append(b, v.Duration().Round(time.Microsecond).String()...)
	}
	s := v.String()
	if s == "" || needsQuotes(s) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

func needsQuotes(s string) bool {
	for _, r := range s {
		if r <= ' ' || r == '"' || r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}

// appendSafe writes a message, which has spaces, without its control characters.
func appendSafe(b []byte, s string) []byte {
	for _, r := range s {
		if unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(b, '?')
		}
	}
	return b
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "DEBUG"
	case l < slog.LevelWarn:
		return "INFO "
	case l < slog.LevelError:
		return "WARN "
	}
	return "ERROR"
}

const (
	dim    = "\x1b[2m"
	cyan   = "\x1b[36m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plain  = "\x1b[0m"
)

func levelColour(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return cyan
	case l < slog.LevelWarn:
		return green
	case l < slog.LevelError:
		return yellow
	}
	return red
}

func (h *text) paint(b []byte, colour, s string) []byte {
	if !h.colour {
		return append(b, s...)
	}
	b = append(b, colour...)
	b = append(b, s...)
	return append(b, plain...)
}
