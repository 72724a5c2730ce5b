package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"connectrpc.com/connect"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// Backup is a copy of the inboxes that was made while the service goes on.
type Backup struct {
	Path  string // on the service's machine
	Epoch uint32 // of the inboxes
	Files int64
	Bytes int64
}

// Errors that Config.Backup returns, for what the caller can do something about.
var (
	ErrBackupRuns     = errors.New("a backup is under way")
	ErrBackupExists   = errors.New("there is a backup of that name")
	ErrTooManyBackups = errors.New("there are too many backups")
)

// backupName keeps a backup in its folder.
var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// BackupInboxes implements adminv1.AdminServiceHandler.
func (s *Server) BackupInboxes(ctx context.Context, request *adminv1.BackupInboxesRequest, stream *connect.ServerStream[adminv1.BackupInboxesResponse]) error {
	begun := time.Now()
	name := request.Name
	if name == "" {
		name = begun.UTC().Format("20060102T150405Z")
	}
	switch {
	case s.config.Backup == nil:
		return refusal(connect.CodeFailedPrecondition, codeNotKept, "this service keeps its inboxes in memory, and there is nothing on a disk to copy",
			"start it with --store pebble to have inboxes that can be kept")
	case !backupName.MatchString(name):
		return invalid("name", "not the name of a backup", "give 1 to 64 letters, digits, - and _, or none; it is a directory in the service's --backup-dir")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reported := time.Time{}
	made, err := s.config.Backup(ctx, name, func(files, bytes int64) {
		if now := time.Now(); now.Sub(reported) >= progressEvery {
			reported = now
			if stream.Send(&adminv1.BackupInboxesResponse{Files: uint64(files), Bytes: uint64(bytes)}) != nil {
				cancel() // nobody is there to be told
			}
		}
	})
	if err != nil {
		return s.backupFailed(ctx, name, err)
	}
	s.config.Log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "backup made", slog.String("path", made.Path),
		slog.Uint64("epoch", uint64(made.Epoch)), slog.Int64("files", made.Files), slog.Int64("bytes", made.Bytes), slog.Duration("took", time.Since(begun)))
	return stream.Send(&adminv1.BackupInboxesResponse{
		Files: uint64(made.Files), Bytes: uint64(made.Bytes), Done: true,
		Path: made.Path, Epoch: made.Epoch, TookMs: uint64(time.Since(begun).Milliseconds()),
	})
}

// backupFailed is the answer to an error, of which the log has the words.
func (s *Server) backupFailed(ctx context.Context, name string, err error) error {
	switch {
	case errors.Is(err, ErrBackupRuns):
		return refusal(connect.CodeResourceExhausted, codeBackupRuns, "a backup is under way", "wait until it is done")
	case errors.Is(err, ErrBackupExists):
		return refusal(connect.CodeAlreadyExists, codeBackupExists, fmt.Sprintf("there is a backup %q", name), "give another name, or none for one with the time")
	case errors.Is(err, ErrTooManyBackups):
		return refusal(connect.CodeResourceExhausted, codeTooManyBackups, "the folder of the backups is full", "remove old ones from the service's --backup-dir")
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, errors.New("the caller has gone"))
	}
	s.config.Log.Error("backup failed", slog.String("name", name), slog.Any("error", err))
	return refusal(connect.CodeUnavailable, protocol.CodeUnavailable, "the backup could not be made, and nothing is left of it",
		"look into the service's log: it says what failed")
}
