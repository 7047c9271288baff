package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"chancery/admin/api"
)

func (c *cli) trace() *cobra.Command {
	var bodies bool
	cmd := &cobra.Command{
		Use: "trace JID", Short: "Show the stanzas of one account as they pass",
		Long: `Show the stanzas of one account as they pass, until Ctrl-C: → from the client to the server, ← from the server to the client.
Texts are replaced by their length unless --bodies asks for them. The audit keeps that somebody looked, and how.`,
		Example: "  chancery trace juliet@example.org\n  chancery trace juliet@example.org --bodies --json > trace.jsonl",
		Args:    exactly("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			return client.Trace(cmd.Context(), args[0], bodies, c.traceLine)
		},
	}
	cmd.Flags().BoolVar(&bodies, "bodies", false, "show texts too")
	return cmd
}

func (c *cli) traceLine(line []byte) error {
	if c.json {
		return c.rawLine(line)
	}
	if n, ok := missed(line); ok {
		return c.missed(n, "stanzas")
	}
	var t api.TraceLine
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	arrow := "←"
	if t.In {
		arrow = "→"
	}
	_, err := fmt.Fprintf(c.out, "%s %s %s %s\n", t.At.Local().Format("15:04:05.000"), safe(t.Who.Resource()), arrow, safe(t.XML))
	return err
}
