package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chancery/admin/ops"
)

func (c *cli) status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "See how the server is",
		Long: `See how the server is: its version, who is connected, where it listens, and what needs attention. The exit code is 1 when it
cannot take work.`,
		Example: "  chancery status\n  chancery status --json | jq .sessions",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := c.print(s, func(w io.Writer) { statusPage(w, s) }); err != nil {
				return err
			}
			if !s.Ready {
				return fmt.Errorf("the server cannot take work")
			}
			return nil
		},
	}
}

func statusPage(w io.Writer, s ops.Status) {
	database := fmt.Sprintf("%s, schema %d", s.Database.Where, s.Database.SchemaVersion)
	if s.Database.Waiting > 0 {
		database += fmt.Sprintf(", %d writes wait", s.Database.Waiting)
	}
	rows := [][]string{
		{"version", s.Build.Version + ", " + s.Build.Go},
		{"running", since(time.Duration(s.Uptime)*time.Second) + ", since " + when(&s.Started)},
		{"ready", map[bool]string{true: "yes", false: "no"}[s.Ready]},
		{"domains", strings.Join(s.Hosts, ", ")},
		{"accounts", fmt.Sprint(s.Accounts)},
		{"sessions", fmt.Sprintf("%d connected, %d wait for resumption", s.Sessions.Connected, s.Sessions.Detached)},
		{"connections", fmt.Sprint(s.Connections)},
		{"database", database},
		{"data", s.Data},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		rows = append(rows, []string{"listens", s.Listeners[name] + " (" + name + ")"})
	}
	table(w, rows)
	for _, name := range slices.Sorted(maps.Keys(s.Checks)) {
		if s.Checks[name] != "ok" {
			fmt.Fprintf(w, "! %s: %s\n", safe(name), safe(s.Checks[name]))
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintf(w, "! %s\n", safe(p))
	}
}
