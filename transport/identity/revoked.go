package identity

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// Reload reads all files again. An error changes nothing.
func (v *Verifier) Reload() error {
	v.files.Lock()
	defer v.files.Unlock()
	v.seen = v.stamps() // before they are read: what changes meanwhile is read again
	ready := make(map[*issuer]*readFile)
	for _, i := range v.issuers {
		if i.KeyFile == "" {
			continue
		}
		read, err := i.readKeys()
		if err != nil {
			return fmt.Errorf("identity: issuer %q: %w", i.Name, err)
		}
		ready[i] = read
	}
	revoked, err := v.readRevoked()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	for i, read := range ready {
		if err := i.take(read); err != nil {
			return err
		}
	}
	v.revoked.Store(revoked)
	return nil
}

// readRevoked reads the ids from the configuration and the file.
func (v *Verifier) readRevoked() (*Revoked, error) {
	revoked := make(Revoked)
	for _, jti := range v.config.Revoked {
		revoked[NewTokenID(jti)] = struct{}{}
	}
	if v.config.RevokedFile != "" {
		text, err := readBounded(v.config.RevokedFile)
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
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, errors.New(name + " is longer than 16 MiB")
	}
	return text, nil
}
