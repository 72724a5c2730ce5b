package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/pflag"
)

// trustOptions are the flags that say whom a command trusts, and as whom it comes.
type trustOptions struct {
	ca, cert, key string
}

// flags are those of a user: whom the command trusts.
func (o *trustOptions) flags(f *pflag.FlagSet) {
	if f.Lookup("ca") != nil { // send is a user or an operator
		return
	}
	f.StringVar(&o.ca, "ca", "", "PEM file of the authorities that the service's certificate is checked against; empty for those of the system")
}

// callerFlags are besides those of an operator, who may come with a certificate.
func (o *trustOptions) callerFlags(f *pflag.FlagSet) {
	f.StringVar(&o.cert, "cert", "", "PEM file of a client certificate, where the service asks for one")
	f.StringVar(&o.key, "key", "", "PEM file of its key")
}

// tls is the configuration that follows from the flags.
func (o *trustOptions) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, misused("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, misused("--ca %s: there is no certificate in it: give those of the authorities, as PEM", o.ca)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return nil, misused("one of --cert and --key is given without the other: give both, or none")
	}
	if o.cert != "" {
		own, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, misused("--cert and --key: %w; give a certificate and its own key, as PEM", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// probePatience is how long a service may take to say that it does not want a certificate.
const probePatience = time.Second

// probe finds out whether a call over HTTPS failed for want of trust, and returns the error. With
// TLS 1.3 a client certificate is refused when the client has begun to talk, and HTTP/2 then
// says no more than that the connection has gone.
func (o *trustOptions) probe(address string, code connect.Code) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || code != connect.CodeUnavailable && code != connect.CodeCanceled && code != connect.CodeUnknown {
		return nil
	}
	config, err := o.tls()
	if err != nil {
		return err
	}
	port := cmp.Or(u.Port(), "443")
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(probePatience)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// distrusted says what to do about an error of TLS; empty if the error is another.
func distrusted(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if expired, ok := errors.AsType[x509.CertificateInvalidError](err); ok && expired.Reason == x509.Expired {
			return "the service's certificate has to be renewed, or a clock be set"
		}
		if _, ok := errors.AsType[x509.HostnameError](err); ok {
			return "give the address by a name that the certificate has"
		}
		return "give with --ca the authorities that signed the service's certificate"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the service speaks no TLS there"
	}
	if refused, ok := errors.AsType[*net.OpError](err); ok && refused.Op == "remote error" {
		return "the service asks for a client certificate that it trusts: give one with --cert and --key"
	}
	return ""
}
