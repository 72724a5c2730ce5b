package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"
)

// parseKeys reads the keys in a file: PEM, a JWK or a JWK Set. private is whether
// somebody who reads it can sign.
func parseKeys(text []byte) (found []jwkset.JWK, private bool, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		found, err = parseSet(text)
	} else {
		found, err = parsePEM(text)
	}
	for _, key := range found {
		m := key.Marshal()
		private = private || m.D != "" || m.K != ""
	}
	return found, private, err
}

func parseSet(text []byte) (found []jwkset.JWK, err error) {
	var set struct {
		jwkset.JWKSMarshal
		jwkset.JWKMarshal
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is no JWK Set: JSON with a list in keys, or one key")
	}
	if set.Keys == nil {
		set.Keys = []jwkset.JWKMarshal{set.JWKMarshal}
	}
	for n, m := range set.Keys {
		key, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{Private: true}, jwkset.JWKValidateOptions{})
		if err != nil {
			return nil, fmt.Errorf("key %d of the set cannot be read", n+1) // the cause could have a part of it
		}
		found = append(found, key)
	}
	return found, nil
}

func parsePEM(text []byte) (found []jwkset.JWK, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		parsed, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("a block %q cannot be read", block.Type)
		}
		key, err := jwkset.NewJWKFromKey(parsed, jwkset.JWKOptions{Marshal: jwkset.JWKMarshalOptions{Private: true}})
		if err != nil {
			return nil, fmt.Errorf("a block %q has a key of no kind that is taken", block.Type)
		}
		found = append(found, key)
	}
	if len(bytes.TrimSpace(text)) > 0 || len(found) == 0 {
		return nil, errors.New("it has neither PEM nor a JWK Set, or something behind the last block")
	}
	return found, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	}
	return nil, errors.New("a block of another kind")
}

// readFile is what a file has.
type readFile struct{ keys []jwkset.JWK }

// readKeys reads an issuer's file. Every key must be of use: nobody has written it for
// another purpose.
func (i *issuer) readKeys(name string) (*readFile, error) {
	text, mode, err := readBounded(name)
	if err != nil {
		return nil, fmt.Errorf("reading its keys: %w", err)
	}
	found, private, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("reading its keys from %s: %w", name, err)
	}
	if private && mode.Perm()&0o077 != 0 {
		return nil, fmt.Errorf("who can read %s can sign as anybody, and others can: chmod 600 it", name)
	}
	if len(found) > maxKeys {
		return nil, fmt.Errorf("%s has %d keys, and an issuer may have %d", name, len(found), maxKeys)
	}
	for _, key := range found {
		if err := i.keys.usable(key.Key()); err != nil {
			return nil, fmt.Errorf("reading its keys from %s: %w", name, err)
		}
	}
	return &readFile{found}, nil
}

// take puts what was read in the place of what there was.
func (i *issuer) take(read *readFile) {
	_ = i.keys.KeyReplaceAll(context.Background(), read.keys) // readKeys has counted them
}
