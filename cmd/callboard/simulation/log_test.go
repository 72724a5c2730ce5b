package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

func (r *run) broken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault != ""
}

// breaks notes that a promise is broken. The caller holds mu.
func (r *run) breaks(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.note("BROKEN: %s", text)
	if r.fault == "" {
		r.fault = text
	}
}

func (r *run) mustNot(what string, err error) {
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.breaks("%s: %v", what, err)
	}
}

// note writes the log. The caller holds mu.
func (r *run) note(format string, args ...any) {
	if r.over {
		return
	}
	r.log = append(r.log, fmt.Sprintf("%9.3fs  ", time.Since(r.began).Seconds())+fmt.Sprintf(format, args...))
}

// logHandler puts what the service logs into the log of the run.
type logHandler struct{ run *run }

func (logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (h logHandler) WithAttrs([]slog.Attr) slog.Handler             { return h }
func (h logHandler) WithGroup(string) slog.Handler                  { return h }

// Handle implements slog.Handler.
func (h logHandler) Handle(_ context.Context, record slog.Record) error {
	var text strings.Builder
	fmt.Fprintf(&text, "    (%s: %s", strings.ToLower(record.Level.String()), record.Message)
	record.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" {
			fmt.Fprintf(&text, " %s=%v", a.Key, a.Value)
		}
		return true
	})
	h.run.mu.Lock()
	defer h.run.mu.Unlock()
	h.run.note("%s)", text.String())
	return nil
}
