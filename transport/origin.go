package transport

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// originAllowed guards users against pages of other sites that would connect in
// their name. Programs other than browsers send no Origin.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.live.Load().origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || r.TLS != nil && u.Scheme != "https" { // a page that anybody on its way could have written
		return false
	}
	if u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
		return false
	}
	// The page has the name that it has called us by. A token, which no browser adds by itself, or a certificate for that
	// name says that it may.
	return s.config.Identity != nil || r.TLS != nil || isOwn(u.Hostname())
}

// isOwn is whether a host leads to the same place whoever looks it up. The owner of any other name can have a page
// loaded from his machine, and then let the name lead here (DNS rebinding).
func isOwn(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761, 6.3: browsers keep to it
}
