package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"callboard/actors"
	"callboard/cmd/callboard/config"
)

const (
	defaultShards = 16

	// shardsName is the file that has the number that 'tree scale' or the service itself has
	// come to.
	shardsName = "shards"
)

// shardsOf is with how many shards the service begins, and whether it changes the number
// by itself. Where no number is set, it is the one that was kept.
func shardsOf(c *config.Config) (shards int, auto bool, err error) {
	auto = c.Shards == config.AutoShards
	if !auto && c.Shards != config.KeptShards {
		shards, err = strconv.Atoi(c.Shards) // config has checked it
		return shards, false, err
	}
	path := shardsPath(c)
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
		return 0, false, fmt.Errorf("%s has no number of shards: remove it, or set the number with --shards", path)
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
func shardsPath(c *config.Config) string {
	if c.Store.Kind == "memory" {
		return ""
	}
	return filepath.Join(c.Data, shardsName)
}

// keepShards is what writes the number down, whole or not at all.
func keepShards(c *config.Config) func(shards int) error {
	path := shardsPath(c)
	return func(shards int) error {
		if path == "" {
			return nil
		}
		if err := writeShards(path, shards); err != nil {
			return fmt.Errorf("keeping the number of shards: %w", err)
		}
		return nil
	}
}

func writeShards(path string, shards int) error {
	file, err := os.CreateTemp(filepath.Dir(path), shardsName+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // it is there no more, but after a failure
	_, wrong := fmt.Fprintln(file, shards)
	if err := errors.Join(wrong, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
