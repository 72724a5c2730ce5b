// Package config is what the service can be told: every setting with its key, its flag, its variable
// of the environment, its default, its bounds and what it means. A setting is a field of [Config] and
// nothing else: the flags, the reference, the check of a file and what a reload does follow from the
// field's tags.
//
// A value is taken from the YAML file, over that from the environment, over that from the flags.
package config

//go:generate sh -c "go run .. config docs -o markdown > ../../../deploy/CONFIGURATION.md"
//go:generate sh -c "go run .. config docs -o yaml > ../../../deploy/callboard.yaml"
