package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"callboard/actors"
)

// shardOptions is the flag of serve that says how many shards there are.
type shardOptions struct {
	text  string
	given bool // on the command line
}

const (
	defaultShards = 16
	autoShards    = "auto"

	// shardsName is the file that has the number that 'tree scale' or the service itself has
	// come to.
	shardsName = "shards"
)

func (o *shardOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.text, "shards", strconv.Itoa(defaultShards), "slices that the users are spread over, 1 to 4096, or auto to follow the processors and the load; "+
		"a number that is given here goes before the one that 'tree scale' came to")
}

// start is with how many shards the service begins, and whether it goes on by itself. The
// number that was kept holds unless one is given.
func (o *shardOptions) start(store *storeOptions) (shards int, auto bool, err error) {
	auto = o.text == autoShards
	if o.given && !auto {
		shards, err = parseShards(o.text)
		if err != nil {
			return 0, false, misused("--shards %q: give 1 to %d, or auto", o.text, actors.MaxShards)
		}
		return shards, false, nil
	}
	path := store.shardsPath()
	if path == "" {
		return defaultShards, auto, nil
	}
	kept, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return defaultShards, auto, nil
	case err != nil:
		return 0, false, fmt.Errorf("reading the number of shards: %w", err)
	}
	if shards, err = parseShards(strings.TrimSpace(string(kept))); err != nil {
		return 0, false, fmt.Errorf("%s has no number of shards: remove it, or give --shards", path)
	}
	return shards, auto, nil
}

func parseShards(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > actors.MaxShards {
		return 0, errors.New("no number of shards")
	}
	return n, nil
}

// shardsPath is where the number is kept; empty for a store without a directory.
func (o *storeOptions) shardsPath() string {
	if o.kind == "memory" {
		return ""
	}
	return filepath.Join(o.data, shardsName)
}

// keepShards writes the number down, whole or not at all.
func (o *storeOptions) keepShards(shards int) error {
	path := o.shardsPath()
	if path == "" {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(path), shardsName+".*")
	if err != nil {
		return fmt.Errorf("keeping the number of shards: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // it is there no more, but after a failure
	_, err = fmt.Fprintln(file, shards)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keeping the number of shards: %w", err)
	}
	return nil
}
