package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callboard/protocol"
)

// What development tokens have as iss and aud.
const (
	DevelopmentIssuer   = "callboard-development"
	DevelopmentAudience = "callboard"
)

// Development is the issuer whose key is in a file of this machine.
func Development(keyFile string) Issuer {
	return Issuer{Name: DevelopmentIssuer, Audiences: []string{DevelopmentAudience}, KeyFile: keyFile}
}

// MakeKey makes a key for development tokens, unless there is one. Of several
// processes that do so at once all get the same.
func MakeKey(path string) (made bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, fmt.Errorf("making the directory of the key: %w", err)
	}
	err = writeKey(path)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("writing the key: %w", err)
	}
	return true, nil
}

// writeKey makes the file appear whole, or not at all if there is one.
func writeKey(path string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".identity-key-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // its other name stays
	err = pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}

// Sign makes a development token for a user with the key in a file.
func Sign(keyFile string, user protocol.UserID, life time.Duration) (string, error) {
	sign, err := Signer(keyFile, life)
	if err != nil {
		return "", err
	}
	return sign(user)
}

// Signer is Sign for many users: the file is read once.
func Signer(keyFile string, life time.Duration) (func(protocol.UserID) (string, error), error) {
	i := issuer{Issuer: Development(keyFile), keys: newKeys(false)}
	read, err := i.readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	private, ok := read.keys[0].Key().(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s has no Ed25519 key to sign with: 'callboard token key' makes one", keyFile)
	}
	return func(user protocol.UserID) (string, error) { return sign(private, user, life) }, nil
}

func sign(private ed25519.PrivateKey, user protocol.UserID, life time.Duration) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Issuer: DevelopmentIssuer, Audience: jwt.ClaimStrings{DevelopmentAudience}, Subject: string(user), ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	})
	signed, err := token.SignedString(private)
	if err != nil {
		return "", fmt.Errorf("signing the token: %w", err)
	}
	return signed, nil
}
