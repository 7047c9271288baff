package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"chancery/admin/api"
	"chancery/admin/ops"
)

func (c *cli) user() *cobra.Command {
	return noun("user", "Add, list and change accounts",
		`An account is named by its address: juliet@example.org. The domain must be one that the server serves (chancery host list).`,
		c.userAdd(), c.userList(), c.userPasswd(), c.userDisable(), c.userEnable(), c.userAdmin(), c.userDelete(), c.userImport())
}

func (c *cli) userAdd() *cobra.Command {
	var admin bool
	var file string
	cmd := &cobra.Command{
		Use: "add JID...", Short: "Make an account",
		Long: "Make an account. Its password is made too and printed once, unless a file has it; nobody can show it again.",
		Example: `  chancery user add juliet@example.org
  pass show juliet | chancery user add juliet@example.org --password-file -`,
		Args: atLeast("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" && len(args) > 1 {
				return usagef("--password-file is for one account; `chancery user import` adds many")
			}
			password, err := c.password(file)
			if err != nil {
				return err
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			for _, jid := range args {
				made, err := client.AddUser(cmd.Context(), ops.NewUser{JID: jid, Password: password, Admin: admin})
				if err != nil {
					return err
				}
				if err := c.credential(made, "Added"); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "make it an administrator")
	passwordFlag(cmd, &file)
	return cmd
}

func passwordFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "password-file", "", "read the password from `FILE`; - is standard input")
}

func (c *cli) credential(made ops.Credential, what string) error {
	return c.print(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s", what, made.JID)
		if made.Password != "" {
			fmt.Fprintf(w, ", password %s", made.Password)
		}
		fmt.Fprintln(w)
	})
}

func (c *cli) userList() *cobra.Command {
	var f ops.UserFilter
	var admin, disabled bool
	cmd := &cobra.Command{
		Use: "list", Short: "List accounts",
		Example: `  chancery user list --domain example.org
  chancery user list --search rom --json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("admin") {
				f.Admin = &admin
			}
			if cmd.Flags().Changed("disabled") {
				f.Disabled = &disabled
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			all := []ops.User{}
			for u, err := range client.AllUsers(cmd.Context(), f) {
				if err != nil {
					return err
				}
				all = append(all, u)
			}
			return c.print(all, func(w io.Writer) { userTable(w, all) })
		},
	}
	cmd.Flags().StringVar(&f.Domain, "domain", "", "only accounts of `DOMAIN`")
	cmd.Flags().StringVar(&f.Text, "search", "", "only accounts with `TEXT` in the name before the @")
	cmd.Flags().BoolVar(&admin, "admin", false, "only administrators; =false for all others")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "only disabled accounts; =false for all others")
	return cmd
}

func userTable(w io.Writer, all []ops.User) {
	if len(all) == 0 {
		fmt.Fprintln(w, "No accounts.")
		return
	}
	rows := [][]string{{"ACCOUNT", "ADMIN", "DISABLED", "SESSIONS", "LAST SEEN", "CREATED"}}
	for _, u := range all {
		rows = append(rows, []string{
			u.JID.String(), yes(u.Admin), yes(u.Disabled), fmt.Sprint(u.Sessions), when(u.LastSeen), when(&u.Created),
		})
	}
	table(w, rows)
}

func (c *cli) userPasswd() *cobra.Command {
	var file string
	var kick bool
	cmd := &cobra.Command{
		Use: "passwd JID", Short: "Give an account a new password",
		Long: `Give an account a new password: one that is made and printed once, or that of a file. Clients that are logged in stay logged
in unless --kick ends their sessions.`,
		Example: `  chancery user passwd juliet@example.org
  chancery user passwd juliet@example.org --password-file - --kick < password.txt`,
		Args: exactly("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := c.password(file)
			if err != nil {
				return err
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			made, err := client.SetPassword(cmd.Context(), args[0], password)
			if err != nil {
				return err
			}
			if kick {
				var known *ops.Error
				_, err := client.EndSessions(cmd.Context(), made.JID.String(), "the password has been changed")
				if err != nil && !(errors.As(err, &known) && known.Code == ops.NotFound) {
					return err
				}
			}
			return c.credential(made, "New password for")
		},
	}
	cmd.Flags().BoolVar(&kick, "kick", false, "end the account's sessions")
	passwordFlag(cmd, &file)
	return cmd
}

// each makes a verb that does one thing to every account named.
func (c *cli) each(use, short, long, example, did string, do func(*cobra.Command, *api.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " JID...", Short: short, Long: long, Example: example, Args: atLeast("JID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			for _, jid := range args {
				if err := do(cmd, client, jid); err != nil {
					return err
				}
				if err := c.print(map[string]string{"jid": jid, "done": did}, func(w io.Writer) { fmt.Fprintf(w, "%s %s\n", did, safe(jid)) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (c *cli) userDisable() *cobra.Command {
	return c.each("disable", "Keep somebody from logging in", "Keep somebody from logging in, and end his sessions. Nothing is deleted.",
		"  chancery user disable tybalt@example.org", "Disabled",
		func(cmd *cobra.Command, client *api.Client, jid string) error {
			return client.SetDisabled(cmd.Context(), jid, true)
		})
}

func (c *cli) userEnable() *cobra.Command {
	return c.each("enable", "Let somebody log in again", "", "  chancery user enable tybalt@example.org", "Enabled",
		func(cmd *cobra.Command, client *api.Client, jid string) error {
			return client.SetDisabled(cmd.Context(), jid, false)
		})
}

func (c *cli) userAdmin() *cobra.Command {
	var revoke bool
	cmd := c.each("admin", "Make somebody an administrator, or no longer", "", `  chancery user admin nurse@example.org
  chancery user admin nurse@example.org --revoke`, "Changed",
		func(cmd *cobra.Command, client *api.Client, jid string) error {
			return client.SetAdmin(cmd.Context(), jid, !revoke)
		})
	cmd.Flags().BoolVar(&revoke, "revoke", false, "take the right away")
	return cmd
}

func (c *cli) userDelete() *cobra.Command {
	return c.each("delete", "Delete an account with everything that belongs to it",
		"Delete an account with everything that belongs to it: contacts, archive, waiting messages. This cannot be undone.",
		"  chancery user delete tybalt@example.org", "Deleted",
		func(cmd *cobra.Command, client *api.Client, jid string) error {
			return client.DeleteUser(cmd.Context(), jid)
		})
}
