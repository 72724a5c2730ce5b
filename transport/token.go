package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"callboard/protocol"
)

// queryToken is the parameter of the URL that may have the token, where that is allowed.
const queryToken = "token"

// errTokens is for a request from which nobody could say which token counts.
var errTokens = errors.New("there is more than one token: give one, in one place")

// tokenOf takes the token out of a request: from the Authorization header, from an offered
// subprotocol, and from the URL if that is allowed. It is empty if there is none; an
// Authorization of another scheme is not for us. The token has not been looked at.
func tokenOf(r *http.Request, inQuery bool) (token string, err error) {
	var found []string
	for _, value := range r.Header["Authorization"] {
		if scheme, rest, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
			found = append(found, strings.TrimSpace(rest))
		}
	}
	for offer := range offers(r.Header) {
		if rest, is := strings.CutPrefix(offer, protocol.SubprotocolToken); is {
			found = append(found, rest)
		}
	}
	if inQuery {
		query, _ := url.ParseQuery(r.URL.RawQuery) // what can be read of it counts
		found = append(found, query[queryToken]...)
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", errTokens
}
