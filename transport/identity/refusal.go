package identity

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"callboard/protocol"
)

// A RefusedError says why a token does not let its bearer in. Reason is for people and has no
// part of the token.
type RefusedError struct {
	Code       protocol.ErrorCode // unauthorized, token_expired or unavailable
	Reason     string
	RetryAfter time.Duration // of unavailable: when to try again
}

// Error implements error.
func (r *RefusedError) Error() string { return string(r.Code) + ": " + r.Reason }

func unauthorized(reason string) *RefusedError {
	return &RefusedError{Code: protocol.CodeUnauthorized, Reason: reason}
}

func unavailable(wait time.Duration) *RefusedError {
	return &RefusedError{
		Code: protocol.CodeUnavailable, RetryAfter: max(wait, time.Second),
		Reason: "the keys of the token's issuer are not at hand; try again later",
	}
}

// The refusals that others give, too.
var (
	ErrMissing = unauthorized("there is no token: give one in the Authorization header, as Bearer, or in version 1 in CONNECT")
	ErrRevoked = unauthorized("the token was revoked")

	errMalformed = unauthorized("the token is no JSON Web Token that can be read")
	errTooLong   = unauthorized("the token is longer than 4096 bytes")
	errIssuer    = unauthorized("the token is of an issuer that this service does not know")
	errCritical  = unauthorized("the token has a critical header that this service does not know")
	errKey       = unauthorized("the token names a key that its issuer does not have")
	errSubject   = unauthorized("the token's subject is no user id: 1 to 64 letters, digits and . _ - : @ +")
	errSystem    = unauthorized("the token's subject is system, the sender of the service's own messages, and nobody connects as it")
	errExpired   = &RefusedError{Code: protocol.CodeTokenExpired, Reason: "the token has expired; connect with a new one"}
)

// refusals has what is said of each error of the parser; the first that fits counts.
// That a token has expired comes last: a new one would not help if there is more.
var refusals = []struct {
	err     error
	refusal *RefusedError
}{
	{jwt.ErrTokenMalformed, errMalformed},
	{jwt.ErrTokenSignatureInvalid, unauthorized("the token's signature does not hold, or is of an algorithm other than HS256, RS256, ES256 and EdDSA")},
	{jwt.ErrTokenUnverifiable, unauthorized("the token's signature cannot be verified with the keys of its issuer")},
	{jwt.ErrTokenInvalidIssuer, errIssuer},
	{jwt.ErrTokenInvalidAudience, unauthorized("the token is for another audience")},
	{jwt.ErrTokenRequiredClaimMissing, unauthorized("the token does not say when it expires, or for whom it is")},
	{jwt.ErrTokenNotValidYet, unauthorized("the token is not valid yet")},
	{jwt.ErrTokenExpired, errExpired},
}

func refusalOf(err error) *RefusedError {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.refusal
		}
	}
	return unauthorized("the token does not hold")
}
