package identity

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// A TokenID stands for a token's id (jti): 64 bits of its SHA-256, which take less room
// than the id and tell nobody what it is.
type TokenID uint64

// NewTokenID is the TokenID of an id; 0 if that is empty.
func NewTokenID(jti string) TokenID {
	if jti == "" {
		return 0
	}
	hash := sha256.Sum256([]byte(jti))
	return TokenID(binary.BigEndian.Uint64(hash[:]) | 1) // an id is never 0
}

const (
	maxRevoked   = 100_000
	maxFileBytes = 16 << 20
)

// Revoked is a set of tokens. Nobody changes one.
type Revoked map[TokenID]struct{}

// Has is whether the token is among them; one without an id never is.
func (r *Revoked) Has(token TokenID) bool {
	if r == nil || token == 0 {
		return false
	}
	_, has := (*r)[token]
	return has
}

// IsRevoked is whether a token was revoked since it was verified.
func (v *Verifier) IsRevoked(token TokenID) bool { return v.revoked.Load().Has(token) }

// readRevoked reads the ids from the configuration and the file.
func (c Config) readRevoked() (*Revoked, error) {
	revoked := make(Revoked)
	for _, jti := range c.Revoked {
		revoked[NewTokenID(jti)] = struct{}{}
	}
	if c.RevokedFile != "" {
		text, _, err := readBounded(c.RevokedFile)
		if err != nil {
			return nil, fmt.Errorf("reading the revoked ids: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			if jti := strings.TrimSpace(lines.Text()); jti != "" && !strings.HasPrefix(jti, "#") {
				revoked[NewTokenID(jti)] = struct{}{}
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("reading the revoked ids: %w", err)
		}
	}
	if len(revoked) > maxRevoked {
		return nil, fmt.Errorf("%d ids of tokens are revoked, and %d may be: leave out those whose tokens have expired", len(revoked), maxRevoked)
	}
	return &revoked, nil
}

// readBounded reads a file that is not to be longer than such files are.
func readBounded(name string) ([]byte, fs.FileMode, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, 0, err
	}
	if len(text) > maxFileBytes {
		return nil, 0, errors.New(name + " is longer than 16 MiB")
	}
	return text, info.Mode(), nil
}
