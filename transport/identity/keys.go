package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeys        = 64
	minRSABits     = 2048 // NIST SP 800-131A
	maxRSABits     = 8192 // longer ones take milliseconds for each handshake
	minSecretBytes = 32   // RFC 7518, 3.2
)

// keys are those of one issuer. A new set takes the place of the old one whole.
type keys struct {
	*jwkset.MemoryJWKSet
	secrets bool // may hold some: whoever reads a URL could sign with those that it has
}

var _ jwkset.Storage = (*keys)(nil)

func newKeys(secrets bool) *keys { return &keys{jwkset.NewMemoryStorage(), secrets} }

// function finds the key of a token.
func (k *keys) function() (jwt.Keyfunc, error) {
	f, err := keyfunc.New(keyfunc.Options{Storage: k, UseWhitelist: []jwkset.USE{jwkset.UseSig, ""}})
	if err != nil {
		return nil, fmt.Errorf("making the key function: %w", err)
	}
	return f.Keyfunc, nil
}

// KeyRead implements jwkset.Storage. One key without an id answers to any.
func (k *keys) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	key, err := k.MemoryJWKSet.KeyRead(ctx, id)
	if err == nil {
		return key, nil
	}
	all, _ := k.KeyReadAll(ctx)
	if len(all) == 1 && all[0].Marshal().KID == "" {
		return all[0], nil
	}
	return key, err
}

// KeyReadAll implements jwkset.Storage. That there is none is an error, so that it is
// none of the token's.
func (k *keys) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	all, err := k.MemoryJWKSet.KeyReadAll(ctx)
	if err == nil && len(all) == 0 {
		return nil, jwkset.ErrKeyNotFound
	}
	return all, err
}

// KeyReplaceAll implements jwkset.Storage. Keys that no token can be verified with are
// left out: an issuer has others for other purposes.
func (k *keys) KeyReplaceAll(ctx context.Context, given []jwkset.JWK) error {
	if len(given) > maxKeys {
		return fmt.Errorf("there are %d keys, and an issuer may have %d", len(given), maxKeys)
	}
	some := make([]jwkset.JWK, 0, len(given))
	for _, key := range given {
		if key.Marshal().USE != jwkset.UseEnc && k.usable(key.Key()) == nil {
			some = append(some, key)
		}
	}
	return k.MemoryJWKSet.KeyReplaceAll(ctx, some)
}

// usable is why no token can be verified with a key, or nil.
func (k *keys) usable(key any) error {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return k.usable(&key.PublicKey)
	case *ecdsa.PrivateKey:
		return k.usable(&key.PublicKey)
	case ed25519.PrivateKey:
		return nil
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("an RSA key has %d bits: %d to %d are taken", bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return fmt.Errorf("an EC key is of the curve %s: P-256 is taken, for ES256", key.Curve.Params().Name)
		}
		return nil
	case []byte:
		if !k.secrets {
			return errors.New("a secret comes from a URL: whoever reads it could sign")
		}
		if len(key) < minSecretBytes {
			return fmt.Errorf("a secret has %d bytes: give at least %d", len(key), minSecretBytes)
		}
		return nil
	}
	return fmt.Errorf("a key is a %T: RSA, EC, Ed25519 and secrets are taken", key)
}
