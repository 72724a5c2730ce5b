package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"callboard/transport/identity"
)

// tokenOptions are the flags of the commands that make development tokens.
type tokenOptions struct {
	data string
	key  string
	user string
	ttl  time.Duration
}

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens for development",
		Long: `Make tokens for development: JSON Web Tokens, signed with a key of this machine, that
a service takes that runs with --identity-development on the same --data. In
production your own sign-in issues the tokens (--identity-issuer).`,
		Example: `  callboard token new --user 42 --ttl 1h`,
		Args:    unknownCommand,
		RunE:    help,

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(newTokenNew(), newTokenKey())
	return cmd
}

func (o *tokenOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.data, "data", "./callboard-data", "directory of the service, whose file "+identityKeyName+" has the key")
	cmd.Flags().StringVar(&o.key, "key", "", "file of the key (default "+identityKeyName+" in --data)")
}

func (o *tokenOptions) keyFile() string {
	if o.key != "" {
		return o.key
	}
	return filepath.Join(o.data, identityKeyName)
}

func newTokenNew() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "new --user USER",
		Short: "Print a token that says who its bearer is",
		Long: `Print a token that says that its bearer is the user, for as long as --ttl. The key to
sign it with is made if it is not there. Anybody who has the token is that user
to the service: hand it over like a password.`,
		Example: `  callboard token new --user 42 --ttl 1h`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			user, err := parseClient("--user", o.user)
			if err != nil {
				return err
			}
			if o.ttl < time.Second {
				return misused("--ttl is %s: give at least 1s, like 1h", o.ttl)
			}
			if _, err := identity.MakeKey(o.keyFile()); err != nil {
				return err
			}
			token, err := identity.Sign(o.keyFile(), user, o.ttl)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.user, "user", "", "user id that the token is for")
	cmd.Flags().DurationVar(&o.ttl, "ttl", time.Hour, "how long it lasts")
	return cmd
}

func newTokenKey() *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Make the key for development tokens",
		Long:    `Make the key that signs development tokens, if it is not there, and print its file.`,
		Example: `  callboard token key`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := identity.MakeKey(o.keyFile()); err != nil {
				if errors.Is(err, fs.ErrPermission) {
					err = fmt.Errorf("%w; --data or --key names another place", err)
				}
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), o.keyFile())
			return err
		},
	}
	o.flags(cmd)
	return cmd
}
