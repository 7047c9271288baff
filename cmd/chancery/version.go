package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"chancery/base/obs"
)

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say what this program was built from", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			b := obs.ReadBuild()
			return c.print(b, func(w io.Writer) {
				commit := b.Commit
				if b.Modified {
					commit += " with changes"
				}
				fmt.Fprintf(w, "chancery %s\n", b.Version)
				table(w, [][]string{{"commit", commit}, {"go", b.Go}, {"fips 140-3", b.FIPS}, {"sqlite", b.SQLite}})
			})
		},
	}
}

func (c *cli) completion() *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print the completion of commands for bash, zsh, fish or powershell",
		Example: `  source <(chancery completion bash)
  chancery completion zsh > "${fpath[1]}/_chancery"
  chancery completion fish > ~/.config/fish/completions/chancery.fish`,
		Args: exactly("SHELL"), ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.out)
			}
			return usagef("%s is none of bash, zsh, fish, powershell", args[0])
		},
	}
}
