package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

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

// uses are what a key that verifies tokens may be for.
var uses = []jwkset.USE{jwkset.UseSig, ""}

// keys are those of one issuer. A new set takes the place of the old one whole.
type keys struct {
	*jwkset.MemoryJWKSet
	secrets bool // may hold some: whoever reads a URL could sign with those that it has
}

var _ jwkset.Storage = (*keys)(nil)

func newKeys(secrets bool) *keys { return &keys{jwkset.NewMemoryStorage(), secrets} }

// function finds the key of a token.
func (k *keys) function() (jwt.Keyfunc, error) {
	f, err := keyfunc.New(keyfunc.Options{Storage: k, UseWhitelist: uses})
	if err != nil {
		return nil, fmt.Errorf("making the key function: %w", err)
	}
	return func(token *jwt.Token) (any, error) {
		if all, _ := k.KeyReadAll(context.Background()); nameless(all) {
			return candidates(all, token.Method.Alg()), nil
		}
		return f.Keyfunc(token)
	}, nil
}

// nameless is whether there are keys and none has an id, as in PEM.
func nameless(all []jwkset.JWK) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(key jwkset.JWK) bool { return key.Marshal().KID != "" })
}

// candidates are the keys that may have signed a token, whatever id that names: with keys that
// have none, its issuer could not change from one to the next otherwise.
func candidates(all []jwkset.JWK, algorithm string) (set jwt.VerificationKeySet) {
	for _, key := range all {
		marshalled := key.Marshal()
		if of := marshalled.ALG.String(); of != "" && of != algorithm || !slices.Contains(uses, marshalled.USE) {
			continue
		}
		if private, ok := key.Key().(crypto.Signer); ok {
			set.Keys = append(set.Keys, private.Public())
		} else {
			set.Keys = append(set.Keys, key.Key())
		}
	}
	return set
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
