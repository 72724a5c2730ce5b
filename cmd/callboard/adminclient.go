package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"callboard/transport/admin"
	"callboard/transport/admin/adminv1"
)

// callerOptions are the flags of the commands that call the admin API.
type callerOptions struct {
	url       string
	insecure  bool
	data      string
	tokenFile string
	output    string
}

const (
	tokenVariable = "CALLBOARD_TOKEN"

	// callPatience is how long an answer may take, somewhat more than the service takes.
	callPatience = 15 * time.Second
)

// flags are those that say which service is called, and by whom.
func (o *callerOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.url, "admin", "http://127.0.0.1:8081", "address of the admin API, http://host:port or https://host:port")
	f.BoolVar(&o.insecure, "insecure", false, "send the token to another machine though nothing encrypts it")
	f.StringVar(&o.data, "data", "./callboard-data", "directory of the service, whose file admin-token has the token")
	f.StringVar(&o.tokenFile, "token-file", "", "file that has the token; or else "+tokenVariable+" is the token, if it is set")
}

// report adds how the answer is shown.
func (o *callerOptions) report(cmd *cobra.Command) {
	o.flags(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "table, or json for the answer as the API has it")
}

// dial makes a client. It does not connect yet.
func (o *callerOptions) dial() (adminv1.AdminServiceClient, error) {
	if o.output != "" && o.output != "table" && o.output != "json" {
		return nil, fmt.Errorf("--output %q: give table or json", o.output)
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--admin %q: give http://host:port or https://host:port, like http://127.0.0.1:8081", o.url)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) && !o.insecure {
		return nil, fmt.Errorf("--admin %s would send the token over the network in clear: come by https or an ssh tunnel, or give --insecure", o.url)
	}
	secret, err := o.secret()
	if err != nil {
		return nil, err
	}
	return adminv1.NewAdminServiceClient(http.DefaultClient, o.url, connect.WithInterceptors(bearer(secret))), nil
}

// bearer puts the token into every call, and bounds those that have one answer.
type bearer string

var _ connect.Interceptor = bearer("")

// WrapUnary implements connect.Interceptor, as do the methods below.
func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		request.Header().Set("Authorization", "Bearer "+string(b))
		return next(ctx, request)
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+string(b))
		return conn
	}
}

func (b bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// secret finds the token: in --token-file, the environment, the service's directory, or
// where services without one have it.
func (o *callerOptions) secret() (string, error) {
	if o.tokenFile != "" {
		secret, err := admin.ReadSecret(o.tokenFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no %s: 'callboard serve' makes the token, name its file with --token-file", o.tokenFile)
		}
		return secret, err
	}
	if secret := os.Getenv(tokenVariable); secret != "" {
		return secret, nil
	}
	secret, err := admin.ReadSecret(filepath.Join(o.data, adminTokenName))
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if path, none := memoryTokenPath(); none == nil {
		if secret, err = admin.ReadSecret(path); !errors.Is(err, fs.ErrNotExist) {
			return secret, err
		}
	}
	return "", fmt.Errorf("there is no admin token in %s: give the service's directory with --data, its token file with --token-file, or the token in %s",
		o.data, tokenVariable)
}

// explained adds to an error of a call what to do next.
func (o *callerOptions) explained(err error) error {
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	for _, detail := range failed.Details() {
		if value, broken := detail.Value(); broken == nil {
			if refusal, ok := value.(*adminv1.Refusal); ok {
				return &refusedError{refusal.Code, fmt.Sprintf("refused: %s: %s; %s", refusal.Code, printable(failed.Message()), printable(refusal.Action))}
			}
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: start the service there with 'callboard serve', or give another address with --admin", o.url)
	case failed.Code() == connect.CodeDeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s in time: try again, and look at the service's log", o.url)
	case failed.Code() == connect.CodeCanceled:
		return errors.New("interrupted before there was an answer")
	}
	return fmt.Errorf("%s: %s; is this the admin API of a callboard? --admin gives another address", failed.Code(), printable(failed.Message()))
}

// refusedError is a refusal of the service, with its code.
type refusedError struct{ code, text string }

func (e *refusedError) Error() string { return e.text }

// refusedAs is whether the service has refused a call with the code.
func refusedAs(err error, code string) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && refused.code == code
}

// print shows an answer as JSON, or as the table that fill makes.
func (o *callerOptions) print(out io.Writer, answer proto.Message, fill func(*table)) error {
	if o.output != "json" {
		t := &table{columns: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
		fill(t)
		if err := errors.Join(t.err, t.columns.Flush()); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
		return nil
	}
	found, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	var indented bytes.Buffer // protojson's own spaces change from run to run
	if err = json.Indent(&indented, found, "", "  "); err == nil {
		indented.WriteByte('\n')
		_, err = indented.WriteTo(out)
	}
	if err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// since is how long ago a moment was, for people.
func since(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return max(0, time.Since(time.UnixMilli(ms))).Truncate(time.Second).String()
}

// dash stands for a word that is empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}
