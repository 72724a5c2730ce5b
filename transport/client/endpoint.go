package client

import (
	"fmt"
	"net/url"
	"strings"

	"callboard/protocol"
)

// endpoint is the URL of a user's WebSocket.
func endpoint(address string, user protocol.UserID) (string, error) {
	if _, err := protocol.ParseUserID(string(user)); err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("address %q: give the server's, like ws://127.0.0.1:8080", address)
	}
	segment := string(user)
	if segment == "." || segment == ".." { // ids like others, but a path would lose them
		segment = strings.ReplaceAll(segment, ".", "%2E")
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/") + "/ws/" + segment, nil
}
