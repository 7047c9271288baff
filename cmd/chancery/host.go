package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (c *cli) host() *cobra.Command {
	return noun("host", "See and add the domains that are served", "", c.hostList(), c.hostAdd())
}

func (c *cli) hostList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the domains, the default first", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Hosts(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(all, func(w io.Writer) {
				for _, d := range all {
					fmt.Fprintln(w, d)
				}
			})
		},
	}
}

func (c *cli) hostAdd() *cobra.Command {
	return &cobra.Command{
		Use: "add DOMAIN", Short: "Serve one more domain, at once",
		Long: `Serve one more domain, at once. Its certificate is read from tls/DOMAIN.pem in the data folder; until there is one, the local
CA issues it.`,
		Example: "  chancery host add example.net", Args: exactly("DOMAIN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			d, err := client.AddHost(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.print(map[string]string{"domain": d}, func(w io.Writer) { fmt.Fprintf(w, "Serving %s\n", d) })
		},
	}
}
