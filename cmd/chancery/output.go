package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// print answers with v as JSON, or lets text write for people.
func (c *cli) print(v any, text func(w io.Writer)) error {
	if !c.json {
		text(c.out)
		return nil
	}
	out := json.NewEncoder(c.out)
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// table writes rows in columns.
func table(w io.Writer, rows [][]string) {
	b := new(bytes.Buffer)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, safe(cell))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// safe keeps what others have chosen (a resource, a reason) from steering the terminal.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// when is a moment as people read it in a list.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// since is a length of time in its two largest units: 3d4h.
func since(d time.Duration) string {
	d = d.Round(time.Second)
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, rest/time.Hour)
	case rest >= time.Hour:
		return fmt.Sprintf("%dh%dm", rest/time.Hour, rest%time.Hour/time.Minute)
	case rest >= time.Minute:
		return fmt.Sprintf("%dm%ds", rest/time.Minute, rest%time.Minute/time.Second)
	}
	return d.String()
}

// some lists counts as people say them: no accounts, 1 account, 7 accounts.
func some(n int, one string) string {
	switch n {
	case 0:
		return "no " + one + "s"
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// yes marks a column.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
