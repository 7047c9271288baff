package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"chancery/admin/ops"
)

func (c *cli) audit() *cobra.Command {
	return noun("audit", "See who did what", "", c.auditList())
}

func (c *cli) auditList() *cobra.Command {
	var f ops.AuditFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List what administrators did, and refused logins; the newest last",
		Example: "  chancery audit list --target juliet@example.org\n  chancery audit list --limit 1000 --json", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Audit(cmd.Context(), f)
			if err != nil {
				return err
			}
			slices.Reverse(all)
			return c.print(all, func(w io.Writer) { auditTable(w, all) })
		},
	}
	cmd.Flags().StringVar(&f.Target, "target", "", "only what was done to `WHOM`: an address, a setting, a domain")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "how many rows (`N`), at most 1000")
	cmd.Flags().Int64Var(&f.Before, "before", 0, "only rows with an id smaller than `ID`")
	return cmd
}

func auditTable(w io.Writer, all []ops.AuditRow) {
	if len(all) == 0 {
		fmt.Fprintln(w, "Nothing yet.")
		return
	}
	rows := [][]string{{"WHEN", "WHO", "DID", "TO", "MORE"}}
	for _, r := range all {
		rows = append(rows, []string{when(&r.At), r.Actor, r.Action, r.Target, r.Detail})
	}
	table(w, rows)
}
