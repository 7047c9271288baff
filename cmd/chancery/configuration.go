package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"chancery/base/config"
)

func (c *cli) configuration() *cobra.Command {
	return noun("config", "Check and describe the configuration file",
		"The file holds only what the server needs to start; everything else is a setting (chancery setting).", c.configCheck(), c.configDescribe())
}

func (c *cli) configCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Say everything that is wrong in a configuration file", Long: "Say everything that is wrong in a configuration file (./chancery.toml), with line and column.",
		Example: "  chancery config check /etc/chancery/chancery.toml", Args: atMost("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			file := cmp.Or(c.config, configFile)
			if len(args) > 0 {
				file = args[0]
			}
			cfg, err := config.Load(file)
			var wrong config.Problems
			if errors.As(err, &wrong) && c.json {
				if err := c.print(map[string]any{"ok": false, "problems": wrong}, nil); err != nil {
					return err
				}
				return errors.New("the configuration is wrong")
			}
			if err != nil {
				return err
			}
			return c.print(map[string]any{"ok": true, "problems": config.Problems{}}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is good: data in %s, database %s, %s\n", cfg.File, cfg.Data, cfg.SafeDatabase(), some(len(cfg.Listener), "listener"))
			})
		},
	}
}

func (c *cli) configDescribe() *cobra.Command {
	return &cobra.Command{
		Use: "describe", Short: "Print a configuration file with every key, its default and its manual",
		Example: "  chancery config describe > chancery.toml", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			return c.print(config.Describe(), func(w io.Writer) { fmt.Fprint(w, config.Sample()) })
		},
	}
}
