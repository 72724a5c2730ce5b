package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"callboard/cmd/callboard/config"
	"callboard/protocol"
	"callboard/transport/admin"
	"callboard/transport/admin/adminv1"
)

// callerOptions are the flags of the commands that call the admin API.
type callerOptions struct {
	url       string
	insecure  bool
	data      string
	token     string
	tokenFile string
	output    format
	every     time.Duration // of --watch; 0: once
	trust     trustOptions
}

const (
	// callPatience is how long an answer may take, somewhat more than the service takes.
	callPatience = 15 * time.Second
)

// flags are those that say which service is called, and by whom.
func (o *callerOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.url, "admin", "http://127.0.0.1:8081", "address of the admin API, http://host:port or https://host:port")
	f.BoolVar(&o.insecure, "insecure", false, "send the token to another machine though nothing encrypts it")
	f.StringVar(&o.data, "data", "./callboard-data", "directory of the service, whose file admin-token has the token")
	f.StringVar(&o.tokenFile, "token-file", "", "file that has the token; or else "+config.TokenVariable+" is the token, if it is set")
	if f.Lookup("token") == nil { // send has it for users too
		f.StringVar(&o.token, "token", "", "the token itself, which others on this machine may see: rather name its file")
	}
	o.trust.flags(f)
	o.trust.callerFlags(f)
}

// report adds how the answer is shown.
func (o *callerOptions) report(cmd *cobra.Command) {
	o.flags(cmd)
	o.output.flags(cmd)
}

// dial makes a client. It does not connect yet.
func (o *callerOptions) dial() (adminv1.AdminServiceClient, error) {
	network, secret, err := o.road()
	if err != nil {
		return nil, err
	}
	return adminv1.NewAdminServiceClient(network, o.url, connect.WithInterceptors(bearer(secret))), nil
}

// pages is for what the admin listener serves besides the calls.
func (o *callerOptions) pages() (get func(ctx context.Context, path string) (*http.Response, error), err error) {
	network, secret, err := o.road()
	return func(ctx context.Context, path string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		bearer(secret).sign(request.Header)
		return network.Do(request)
	}, err
}

// road is how the admin API is reached, and the token for it.
func (o *callerOptions) road() (*http.Client, string, error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, "", misused("--admin %q: give http://host:port or https://host:port, like http://127.0.0.1:8081", o.url)
	}
	if u.Scheme == "http" && !config.IsLoopbackHost(u.Hostname()) && !o.insecure {
		return nil, "", misused("--admin %s would send the token over the network in clear: come by https or an ssh tunnel, or give --insecure", o.url)
	}
	secret, err := o.secret()
	if err != nil {
		return nil, "", err
	}
	secure, err := o.trust.tls()
	if err != nil {
		return nil, "", err
	}
	network := http.DefaultTransport.(*http.Transport).Clone()
	network.TLSClientConfig = secure
	return &http.Client{Transport: network}, secret, nil
}

// bearer puts the token into every call, and bounds those that have one answer.
type bearer string

var _ connect.Interceptor = bearer("")

// WrapUnary implements connect.Interceptor, as do the methods below.
func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		b.sign(request.Header())
		return next(ctx, request)
	}
}

// sign puts the token into a header; who comes with a certificate may have none.
func (b bearer) sign(header http.Header) {
	if b != "" {
		header.Set("Authorization", "Bearer "+string(b))
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		b.sign(conn.RequestHeader())
		return conn
	}
}

func (b bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// secret finds the token: in --token, --token-file, the environment, the service's directory, or
// where services without one have it. Who comes with a certificate needs none.
func (o *callerOptions) secret() (string, error) {
	if o.token != "" {
		return o.token, nil
	}
	if o.tokenFile != "" {
		secret, err := admin.ReadSecret(o.tokenFile)
		if errors.Is(err, fs.ErrNotExist) {
			err = exits(exitNotAllowed, fmt.Errorf("there is no %s: 'callboard serve' makes the token, name its file with --token-file", o.tokenFile))
		}
		return secret, err
	}
	if secret := os.Getenv(config.TokenVariable); secret != "" || o.trust.cert != "" {
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
	return "", exits(exitNotAllowed, fmt.Errorf("there is no admin token in %s: 'callboard serve' writes it when it starts; if it has, give its directory with --data, its token file with --token-file, or the token in %s",
		o.data, config.TokenVariable))
}

// explained adds to an error of a call what to do next, and the status to exit with.
func (o *callerOptions) explained(err error) error {
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	status := statusOfConnect(failed.Code())
	for _, detail := range failed.Details() {
		if value, broken := detail.Value(); broken == nil {
			if refusal, ok := value.(*adminv1.Refusal); ok {
				return exits(statusOfCode(protocol.ErrorCode(refusal.Code)), &refusedError{
					refusal.Code, fmt.Sprintf("refused: %s: %s; %s", refusal.Code, printable(failed.Message()), printable(refusal.Action)),
				})
			}
		}
	}
	for _, cause := range []error{err, o.trust.probe(o.url, failed.Code())} {
		if action := distrusted(cause); action != "" {
			return exits(exitNotAllowed, fmt.Errorf("%s: %s; %s", o.url, printable(cause.Error()), action))
		}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		err = fmt.Errorf("nobody listens at %s: start the service there with 'callboard serve', or give another address with --admin", o.url)
	case failed.Code() == connect.CodeDeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		status, err = exitUnavailable, fmt.Errorf("no answer from %s in time: try again, and look at the service's log", o.url)
	case cutOff(err):
		status, err = exitUnavailable, fmt.Errorf("%s went away before its answer was complete: look whether the service still runs, and try again", o.url)
	case failed.Code() == connect.CodeCanceled:
		err = errors.New("interrupted before there was an answer")
	default:
		said := failed.Code().String()
		if message := printable(failed.Message()); message != "" {
			said += ": " + message
		}
		err = fmt.Errorf("%s answers %s; is this the admin API of a callboard? --admin gives another address", o.url, said)
	}
	return exits(status, err)
}

// cutOff is whether the connection ended in the middle of a call. How the end of a process shows depends on what either
// side had written and read by then.
func cutOff(err error) bool {
	ends := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed}
	return slices.ContainsFunc(ends, func(end error) bool { return errors.Is(err, end) })
}

// refusedError is a refusal of the service, with its code.
type refusedError struct{ code, text string }

func (e *refusedError) Error() string { return e.text }

// refusedAs is whether the service has refused a call with the code.
func refusedAs(err error, code string) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && refused.code == code
}

// print shows an answer, as a table that fill makes or as it is.
func (o *callerOptions) print(out io.Writer, answer proto.Message, fill func(*table)) error {
	return o.output.write(out, o.every > 0, protoJSON(answer), fill)
}
