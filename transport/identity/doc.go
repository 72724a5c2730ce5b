// Package identity says who a client is: it verifies the JSON Web Tokens (RFC 7519) of
// the issuers that the operator trusts. The subject of a token is the user.
//
// A token holds if its issuer is known and one of the issuer's keys has signed it, by
// HS256, RS256, ES256 or EdDSA; if it is for one of the issuer's audiences; if it says
// when it expires, and has not; and if nobody has revoked its id. Whatever keeps the
// service from finding that out is a refusal, too: there is no state in which a
// token is taken unseen.
//
// An issuer's keys come from a file or from a URL (a JWK Set, RFC 7517). Those of a URL
// are kept, fetched again now and then, and at once, but not too often, when a token
// names a key that is not among them.
//
// No error of this package, and nothing that it logs, has any part of a token.
package identity
