package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"chancery/admin/api"
	"chancery/base/obs"
)

func (c *cli) logs() *cobra.Command {
	return noun("log", "Read the server's log", "", c.logFollow())
}

func (c *cli) logFollow() *cobra.Command {
	var level string
	var last int
	var once bool
	cmd := &cobra.Command{
		Use: "follow", Short: "Show the log's last lines, and new ones as they come",
		Long: `Show the log's last lines, and new ones as they come, until Ctrl-C. --level debug shows more than the server writes elsewhere,
for as long as somebody looks. The server keeps the last 1000 lines of level info and above.`,
		Example: "  chancery log follow --level debug\n  chancery log follow --last 100 --once --json", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
				return usagef("--level %s: write debug, info, warn or error", level)
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			return client.FollowLog(cmd.Context(), level, last, !once, c.logLine(cmd.Context()))
		},
	}
	cmd.Flags().StringVar(&level, "level", "info", "the least important lines shown (`LEVEL`): debug, info, warn, error")
	cmd.Flags().IntVar(&last, "last", 20, "how many old lines come first (`N`)")
	cmd.Flags().BoolVar(&once, "once", false, "do not wait for new lines")
	return cmd
}

// logLine writes a line of JSON as it is, or as the server's own text handler would.
func (c *cli) logLine(ctx context.Context) func([]byte) error {
	if c.json {
		return c.rawLine
	}
	log, _ := obs.NewLog(c.out, obs.LogOptions{Level: slog.LevelDebug, Colour: colours(c.out)})
	return func(line []byte) error {
		if missed, ok := missed(line); ok {
			return c.missed(missed, "lines")
		}
		r, err := parseRecord(line)
		if err != nil {
			return c.rawLine(line)
		}
		return log.Handler().Handle(ctx, r)
	}
}

func (c *cli) rawLine(line []byte) error {
	_, err := c.out.Write(append(line[:len(line):len(line)], '\n'))
	return err
}

func missed(line []byte) (int, bool) {
	var m api.Missed
	ok := bytes.HasPrefix(line, []byte(`{"missed":`)) && json.Unmarshal(line, &m) == nil
	return m.Missed, ok
}

func (c *cli) missed(n int, what string) error {
	_, err := fmt.Fprintf(c.err, "(%d %s were not shown: they came faster than they could be written)\n", n, what)
	return err
}

// parseRecord reads a line of slog's JSON, its attributes in their order.
func parseRecord(line []byte) (slog.Record, error) {
	var r slog.Record
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return r, errors.New("not a line of the log")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return r, err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return r, err
		}
		switch text, _ := value.(string); key {
		case slog.TimeKey:
			r.Time, _ = time.Parse(time.RFC3339Nano, text)
			r.Time = r.Time.Local()
		case slog.LevelKey:
			r.Level = obs.ParseLevel(text)
		case slog.MessageKey:
			r.Message = text
		default:
			r.AddAttrs(slog.Any(fmt.Sprint(key), value))
		}
	}
	return r, nil
}
