package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Files are those of one listener, in PEM.
type Files struct {
	Cert     string // the certificate, and those that it was signed with
	Key      string
	ClientCA string // the authorities of clients' certificates; empty: clients need none
}

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// pair is what was in the files, ready for use. Nobody changes one.
type pair struct {
	files  Files
	texts  [3][]byte
	config *tls.Config
	leaf   *x509.Certificate
}

// read reads the files. The name is that of their section in the configuration.
func (f Files) read(name string) (texts [3][]byte, err error) {
	for i, file := range []struct{ key, path string }{{"cert", f.Cert}, {"key", f.Key}, {"client-ca", f.ClientCA}} {
		if file.path == "" {
			continue
		}
		text, readErr := readFile(file.path)
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("%s.%s: %w", name, file.key, readErr))
		}
		texts[i] = text
	}
	return texts, err
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes: is it another file?", path, maxFile)
	}
	return text, err
}

// parse makes a configuration of TLS out of what was in the files.
func (f Files) parse(name string, texts [3][]byte, protocols []string) (*pair, error) {
	own, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("%s.cert %s and %s.key %s: %w; give a certificate and its own key, both as PEM", name, f.Cert, name, f.Key, err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12, NextProtos: protocols,
		DynamicRecordSizingDisabled: true, // what leaves together is one record
	}
	if f.ClientCA != "" {
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(texts[2]) {
			return nil, fmt.Errorf("%s.client-ca %s: there is no certificate in it: give those of the authorities, as PEM", name, f.ClientCA)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
		// A ticket would let a client in again whose authority is not in the file any more.
		config.SessionTicketsDisabled = true
	}
	return &pair{f, texts, config, own.Leaf}, nil
}

// dated is why the certificate is of no use at a time, or nil.
func (p *pair) dated(name string, now time.Time) error {
	switch {
	case now.After(p.leaf.NotAfter):
		return fmt.Errorf("%s.cert %s has expired at %s: renew it", name, p.files.Cert, p.leaf.NotAfter.Format(time.RFC3339))
	case now.Before(p.leaf.NotBefore):
		return fmt.Errorf("%s.cert %s is valid from %s on: set the clock, or wait", name, p.files.Cert, p.leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// has is whether these are the files, and this is in them.
func (p *pair) has(files Files, texts [3][]byte) bool {
	return p.files == files && bytes.Equal(p.texts[0], texts[0]) && bytes.Equal(p.texts[1], texts[1]) && bytes.Equal(p.texts[2], texts[2])
}
