package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"chancery/core/settings"
)

func (c *cli) setting() *cobra.Command {
	return noun("setting", "Read and change settings, without a restart",
		`Settings are kept in the database and work at once. What a value means and may be says: chancery setting describe NAME`,
		c.settingList(), c.settingGet(), c.settingSet(), c.settingReset(), c.settingDescribe())
}

func (c *cli) settingList() *cobra.Command {
	var changed bool
	cmd := &cobra.Command{
		Use: "list [PREFIX]", Short: "List settings and their values",
		Example: "  chancery setting list c2s\n  chancery setting list --changed", Args: atMost("PREFIX"),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Settings(cmd.Context())
			if err != nil {
				return err
			}
			chosen := []settings.Value{}
			for _, v := range all {
				if under(v.Name, args) && (!changed || v.Changed != nil) {
					chosen = append(chosen, v)
				}
			}
			return c.print(chosen, func(w io.Writer) { settingTable(w, chosen) })
		},
	}
	cmd.Flags().BoolVar(&changed, "changed", false, "only settings that somebody has set")
	return cmd
}

// settingNames completes the names of settings; tail stands behind each.
func settingNames(tail string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var all []cobra.Completion
		for _, e := range settings.Describe() {
			first, _, _ := strings.Cut(e.Doc, "\n")
			all = append(all, cobra.CompletionWithDesc(e.Name+tail, first))
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if tail != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return all, directive
	}
}

// under tells whether a setting is the one named, or stands below it.
func under(name string, prefix []string) bool {
	return len(prefix) == 0 || name == prefix[0] || strings.HasPrefix(name, strings.TrimSuffix(prefix[0], ".")+".")
}

func settingTable(w io.Writer, all []settings.Value) {
	rows := [][]string{{"SETTING", "VALUE", "SET"}}
	for _, v := range all {
		set := ""
		if v.Changed != nil {
			set = when(v.Changed)
		}
		rows = append(rows, []string{v.Name, v.Text, set})
	}
	table(w, rows)
}

func (c *cli) settingGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Print one value", Example: "  chancery setting get c2s.stanza_bytes", Args: exactly("NAME"), ValidArgsFunction: settingNames(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			v, err := client.Setting(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return c.print(v, func(w io.Writer) { fmt.Fprintln(w, safe(v.Text)) })
		},
	}
}

func (c *cli) settingSet() *cobra.Command {
	return &cobra.Command{
		Use: "set NAME=VALUE...", Short: "Change settings, all or none",
		Long: "Change settings. They are checked together: either all are changed or none. A list is written one,two.",
		Example: `  chancery setting set registration.enabled=true
  chancery setting set c2s.stanza_bytes=512KiB c2s.resume_time=15m`,
		Args: atLeast("NAME=VALUE"), ValidArgsFunction: settingNames("="),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && !strings.Contains(args[0], "=") { // set NAME VALUE
				args = []string{args[0] + "=" + args[1]}
			}
			changes := make([]settings.Change, len(args))
			for i, arg := range args {
				name, value, ok := strings.Cut(arg, "=")
				if !ok {
					return usagef("%q has no value; write %s=VALUE", arg, arg)
				}
				changes[i] = settings.Change{Name: name, Text: value}
			}
			return c.changeSettings(cmd, changes)
		},
	}
}

func (c *cli) settingReset() *cobra.Command {
	return &cobra.Command{
		Use: "reset NAME...", Short: "Return settings to their defaults", Example: "  chancery setting reset c2s.stanza_bytes", Args: atLeast("NAME"),
		ValidArgsFunction: settingNames(""),
		RunE: func(cmd *cobra.Command, args []string) error {
			changes := make([]settings.Change, len(args))
			for i, name := range args {
				changes[i] = settings.Change{Name: name, Reset: true}
			}
			return c.changeSettings(cmd, changes)
		},
	}
}

func (c *cli) changeSettings(cmd *cobra.Command, changes []settings.Change) error {
	client, err := c.client(cmd.Context())
	if err != nil {
		return err
	}
	now, err := client.ChangeSettings(cmd.Context(), changes)
	if err != nil {
		return err
	}
	return c.print(now, func(w io.Writer) {
		for _, v := range now {
			fmt.Fprintf(w, "%s is now %s\n", v.Name, safe(v.Text))
		}
	})
}

func (c *cli) settingDescribe() *cobra.Command {
	return &cobra.Command{
		Use: "describe [NAME]", Short: "Print the manual of settings", Long: "Print the manual of one setting, of those below a name, or of all. No server is asked.",
		Example: "  chancery setting describe c2s.resume_time", Args: atMost("NAME"), ValidArgsFunction: settingNames(""),
		RunE: func(_ *cobra.Command, args []string) error {
			chosen := []settings.Entry{}
			for _, e := range settings.Describe() {
				if under(e.Name, args) {
					chosen = append(chosen, e)
				}
			}
			if len(chosen) == 0 {
				return fmt.Errorf("there is no setting %s; chancery setting describe lists all", args[0])
			}
			return c.print(chosen, func(w io.Writer) {
				for _, e := range chosen {
					fmt.Fprintf(w, "%s (%s)\n  %s\n\n", e.Name, settingFacts(e), strings.ReplaceAll(e.Doc, "\n", "\n  "))
				}
			})
		},
	}
}

// settingFacts says in a few words what a value may be.
func settingFacts(e settings.Entry) string {
	facts := []string{e.Type}
	if e.Unit != "" && e.Type != "size" {
		facts = append(facts, e.Unit)
	}
	if len(e.OneOf) > 0 && e.Type != "list" {
		facts = append(facts, "one of "+strings.Join(e.OneOf, ", "))
	}
	if e.Min != "" {
		facts = append(facts, "at least "+e.Min)
	}
	if e.Max != "" {
		facts = append(facts, "at most "+e.Max)
	}
	if e.Default == "" {
		return strings.Join(append(facts, "empty unless set"), ", ")
	}
	return strings.Join(append(facts, "default "+e.Default), ", ")
}
