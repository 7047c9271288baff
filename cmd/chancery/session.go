package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"chancery/admin/ops"
)

func (c *cli) session() *cobra.Command {
	return noun("session", "See who is logged in, and end sessions", "", c.sessionList(), c.sessionKick())
}

func (c *cli) sessionList() *cobra.Command {
	return &cobra.Command{
		Use: "list [JID]", Short: "List who is logged in", Long: "List who is logged in: everybody, or those of a domain or an account.",
		Example: `  chancery session list
  chancery session list juliet@example.org --json`,
		Args: atMost("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			of := ""
			if len(args) > 0 {
				of = args[0]
			}
			all, err := client.Sessions(cmd.Context(), of)
			if err != nil {
				return err
			}
			return c.print(all, func(w io.Writer) { sessionTable(w, all) })
		},
	}
}

func sessionTable(w io.Writer, all []ops.Session) {
	if len(all) == 0 {
		fmt.Fprintln(w, "Nobody is logged in.")
		return
	}
	rows := [][]string{{"SESSION", "STATE", "FROM", "TLS", "LOGIN", "SINCE"}}
	for _, s := range all {
		rows = append(rows, []string{
			s.JID.String(), state(s), s.Remote, cmp.Or(s.TLS, "none"), s.Mechanism, since(time.Since(s.Since)),
		})
	}
	table(w, rows)
}

func state(s ops.Session) string {
	switch {
	case !s.Attached:
		return "waits for resumption"
	case s.Inactive:
		return cmp.Or(s.Presence, "connected") + ", inactive"
	}
	return cmp.Or(s.Presence, "connected")
}

func (c *cli) sessionKick() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "kick JID", Short: "End a session, or all of an account",
		Long: `End a session (juliet@example.org/phone), or all sessions of an account (juliet@example.org). The client may log in again; to keep
somebody out use: chancery user disable`,
		Example: "  chancery session kick juliet@example.org/phone --reason 'the phone was lost'",
		Args:    exactly("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			n, err := client.EndSessions(cmd.Context(), args[0], reason)
			if err != nil {
				return err
			}
			return c.print(map[string]int{"ended": n}, func(w io.Writer) { fmt.Fprintf(w, "Ended %s of %s\n", some(n, "session"), safe(args[0])) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what the client is told")
	return cmd
}
