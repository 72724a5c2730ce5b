package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"callboard/cmd/callboard/config"
	"callboard/transport/admin"
)

func newAdmin() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "admin",
		Short:   "Prepare access to the admin API",
		Example: "  callboard admin token new --name vera --role viewer",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	token := &cobra.Command{
		Use:     "token",
		Short:   "Tokens for the admin API",
		Example: "  callboard admin token new --name vera --role viewer",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	token.AddCommand(newAdminToken())
	cmd.AddCommand(token)
	return cmd
}

func newAdminToken() *cobra.Command {
	var name, role string
	cmd := &cobra.Command{
		Use:   "new --name NAME --role ROLE",
		Short: "Make a token, and its line for the configuration",
		Long: `Make a token for the admin API and print it, this once, with what the service's
configuration needs to know of it: its hash. A service that runs takes the new
configuration with SIGHUP.

A viewer may look, an operator may act on users and sessions, an admin on the node.`,
		Example: "  callboard admin token new --name vera --role viewer",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printToken(cmd.OutOrStdout(), name, role)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "who, in the audit log")
	cmd.Flags().StringVar(&role, "role", "", "viewer, operator or admin")
	return cmd
}

func printToken(out io.Writer, name, role string) error {
	if roles[role] == 0 {
		return misused("--role %q: give viewer, operator or admin", role)
	}
	if err := config.CheckName(name); err != nil {
		return misused("--name %w", err)
	}
	secret := admin.NewSecret()
	token := admin.NewToken(name, roles[role], secret)
	quoted := "'" + strings.ReplaceAll(name, "'", "''") + "'"
	if _, err := fmt.Fprintf(out, `%s

Keep it: it is not shown again. Its line for the configuration:

admin:
  tokens:
    - {name: %s, role: %s, sha256: %x}
`, secret, quoted, role, token.Hash); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}
