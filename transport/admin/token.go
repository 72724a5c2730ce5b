package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Role says what a token may do; a greater one may do what a lesser one may.
type Role int

// The roles.
const (
	Viewer   Role = iota + 1 // looks
	Operator                 // acts on users and sessions
	Admin                    // acts on the node
)

// String is the role's word.
func (r Role) String() string {
	if r < Viewer || r > Admin {
		return "nobody"
	}
	return [...]string{"viewer", "operator", "admin"}[r-1]
}

// Token lets its bearer in. Only its hash is kept: a token is random, and long enough
// that a fast hash does not help to guess it.
type Token struct {
	Name string // who, in the audit log
	Role Role
	Hash [sha256.Size]byte

	// Generated says that NewSecret made the secret: that it cannot be guessed is known, and not only hoped.
	Generated bool
}

// NewToken is the token that the secret stands for.
func NewToken(name string, role Role, secret string) Token {
	return Token{name, role, sha256.Sum256([]byte(secret)), generated.MatchString(secret)}
}

// generated is how the secrets look that NewSecret makes: the prefix and rand.Text.
var generated = regexp.MustCompile(`^` + SecretPrefix + `[A-Z2-7]{26,}$`)

// bearer finds the token of a secret in a time that depends neither on the secret nor
// on which token it is.
func bearer(tokens []Token, secret string) (found Token, ok bool) {
	hash := sha256.Sum256([]byte(secret))
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1 {
			found, ok = t, true
		}
	}
	return found, ok
}

// NewSecret makes up the secret of a token.
func NewSecret() string { return SecretPrefix + rand.Text() }

const (
	// SecretPrefix is what the admin tokens begin with that NewSecret makes, so that
	// tools which look for leaked secrets know them.
	SecretPrefix = "callboard_"

	minSecretLength = 24 // with 128 bits of chance in base32 it has 26 and the prefix
)

// LoadSecret returns the secret in a file that only its owner may read, and makes one
// there if there is no file. Of several processes that do so at once all get the same.
func LoadSecret(path string) (string, error) {
	secret, err := ReadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("making the directory of the admin token: %w", err)
	}
	if err := writeSecret(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("writing the admin token: %w", err)
	}
	return ReadSecret(path)
}

// ReadSecret returns the secret in a file that only its owner may read.
func ReadSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("reading the admin token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("the admin token in %s can be read by others: chmod 600 it, or remove it and start the service again for a new one", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the admin token: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < minSecretLength {
		return "", fmt.Errorf("the admin token in %s has less than %d characters: remove it and start the service again for a new one", path, minSecretLength)
	}
	return secret, nil
}

// writeSecret makes the file appear whole, or not at all if there is one.
func writeSecret(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".admin-token-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // its other name stays
	_, err = file.WriteString(NewSecret() + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
