package main

import (
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"callboard/protocol"
	"callboard/transport/identity"
)

// benchTokenLife is how long the tokens of a run's users last: longer than any run. They are in memory alone.
const benchTokenLife = 30 * 24 * time.Hour

// benchIdentity is the flag of the bench commands that says how their users prove who they are.
type benchIdentity struct{ data string }

func (o *benchIdentity) flags(f *pflag.FlagSet) {
	f.StringVar(&o.data, "identity-data", "", "--data of a service with --identity-development, to sign a token for each user with its "+identityKeyName+"; empty: the service asks for none")
}

// token signs the token of a user; nil if they need none.
func (o *benchIdentity) token() (func(protocol.UserID) (string, error), error) {
	if o.data == "" {
		return nil, nil //nolint:nilnil // that is no error
	}
	sign, err := identity.Signer(filepath.Join(o.data, identityKeyName), benchTokenLife)
	if err != nil {
		return nil, misused("--identity-data: %w; give the --data of a service that runs with --identity-development", err)
	}
	return sign, nil
}
