package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"callboard/actors/inbox/pebble"
	"callboard/cmd/callboard/config"
	"callboard/transport/admin"
)

// backupFolderName is the folder of the backups in the data directory.
const backupFolderName = "backups"

// backupOf is how the admin API copies a store; nil if there is nothing on a disk.
func backupOf(c *config.Config, inboxes store) func(ctx context.Context, name string, progress func(files, bytes int64)) (admin.Backup, error) {
	kept, ok := inboxes.(*pebble.Store)
	if !ok {
		return nil
	}
	folder := cmp.Or(c.BackupDir, filepath.Join(c.Data, backupFolderName))
	return func(ctx context.Context, name string, progress func(files, bytes int64)) (admin.Backup, error) {
		made, err := kept.Backup(ctx, folder, name, progress)
		switch {
		case errors.Is(err, pebble.ErrBackupRuns):
			err = admin.ErrBackupRuns
		case errors.Is(err, pebble.ErrExists):
			err = admin.ErrBackupExists
		case errors.Is(err, pebble.ErrTooManyBackups):
			err = admin.ErrTooManyBackups
		}
		if err != nil {
			return admin.Backup{}, err
		}
		path := filepath.Join(folder, name)
		if absolute, unknown := filepath.Abs(path); unknown == nil {
			path = absolute
		}
		return admin.Backup{Path: path, Epoch: made.Epoch, Files: made.Files, Bytes: made.Bytes}, nil
	}
}

// checkBackups keeps what is no backup out of the folder of the backups, from which the
// service removes what was cut off.
func checkBackups(c *config.Config) error {
	if c.BackupDir == "" {
		return nil
	}
	folder, err := filepath.Abs(c.BackupDir)
	if err != nil {
		return fmt.Errorf("--backup-dir %q: %w; give a whole path", c.BackupDir, err)
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("--data %q: %w; give a whole path", c.Data, err)
	}
	if folder == data {
		return fmt.Errorf("--backup-dir is %s, as --data is: give a directory of its own, or none for %s in --data", c.BackupDir, backupFolderName)
	}
	return nil
}
