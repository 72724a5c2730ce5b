package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"callboard/cmd/callboard/config"
	"callboard/protocol"
	"callboard/transport/admin"
	"callboard/transport/client"
)

// userToken gets the token that --token names, or the environment; nil if there is none.
// A file is read for each connection anew, so that whoever gets new tokens puts them there.
func (o *userOptions) userToken() (func(context.Context) (string, error), error) {
	given := o.token
	if given == "" {
		given = os.Getenv(config.TokenVariable)
		if strings.HasPrefix(given, admin.SecretPrefix) {
			given = "" // an operator's, which is not for the users' side to see
		}
	}
	name, isFile := strings.CutPrefix(given, "@")
	switch {
	case given == "":
		return nil, nil //nolint:nilnil // the service may want none
	case !isFile:
		return client.StaticToken(given), nil
	case name == "":
		return nil, misused("--token @ names no file: give @FILE, or the token itself")
	}
	read := func(context.Context) (string, error) {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("--token @%s: %w", name, err)
		}
		if len(text) > 2*protocol.MaxTokenBytes {
			return "", fmt.Errorf("--token @%s: the file is longer than a token", name)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if _, err := read(context.Background()); err != nil {
		return nil, err
	}
	return read, nil
}
