// Package identitytest is the sign-in of tests: keys, the tokens that they sign, and the
// address where a service finds them.
package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// Whom Claims are of and for.
const (
	Issuer   = "https://issuer.example.org"
	Audience = "callboard.example.org"
)

// A Signer is a key of an issuer.
type Signer struct {
	ID      string // empty: tokens do not name it
	Method  jwt.SigningMethod
	Private any
}

// RSA makes a Signer for RS256.
func RSA(tb testing.TB, id string) *Signer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(tb, err)
	return &Signer{id, jwt.SigningMethodRS256, key}
}

// EC makes a Signer for ES256.
func EC(tb testing.TB, id string) *Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return &Signer{id, jwt.SigningMethodES256, key}
}

// Ed makes a Signer for EdDSA.
func Ed(tb testing.TB, id string) *Signer {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	return &Signer{id, jwt.SigningMethodEdDSA, key}
}

// Secret makes a Signer for HS256, always with the same secret.
func Secret(id string) *Signer {
	return &Signer{id, jwt.SigningMethodHS256, []byte(strings.Repeat("secret", 8))}
}

// Claims are those of a token that holds.
func Claims(user string) jwt.MapClaims {
	return jwt.MapClaims{"iss": Issuer, "aud": Audience, "sub": user, "exp": time.Now().Add(time.Hour).Unix()}
}

// With is Claims with one of them changed, or left out if the value is nil.
func With(user, claim string, value any) jwt.MapClaims {
	c := Claims(user)
	if c[claim] = value; value == nil {
		delete(c, claim)
	}
	return c
}

// Token signs claims.
func (s *Signer) Token(tb testing.TB, c jwt.MapClaims) string {
	tb.Helper()
	token := jwt.NewWithClaims(s.Method, c)
	if s.ID != "" {
		token.Header["kid"] = s.ID
	}
	text, err := token.SignedString(s.Private)
	must(tb, err)
	return text
}

// Unsigned is a token of alg none.
func Unsigned(tb testing.TB, c jwt.MapClaims) string {
	tb.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodNone, c).SignedString(jwt.UnsafeAllowNoneSignatureType)
	must(tb, err)
	return text
}

// Public is what verifies the tokens.
func (s *Signer) Public() any {
	if private, ok := s.Private.(crypto.Signer); ok {
		return private.Public()
	}
	return s.Private
}

// Set is a JWK Set with the keys.
func Set(tb testing.TB, signers ...*Signer) []byte {
	tb.Helper()
	marshalled := jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{}}
	for _, s := range signers {
		key, err := jwkset.NewJWKFromKey(s.Public(), jwkset.JWKOptions{
			Marshal:  jwkset.JWKMarshalOptions{Private: true},
			Metadata: jwkset.JWKMetadataOptions{KID: s.ID, ALG: jwkset.ALG(s.Method.Alg()), USE: jwkset.UseSig},
		})
		must(tb, err)
		marshalled.Keys = append(marshalled.Keys, key.Marshal())
	}
	text, err := json.Marshal(marshalled)
	must(tb, err)
	return text
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
