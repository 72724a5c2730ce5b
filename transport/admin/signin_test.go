package admin

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// request is one that came over TLS with a certificate, or without.
func request(token string, verified bool, certificate *x509.Certificate) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	if certificate != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
		if verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
		}
	}
	return r
}

func TestTokenDecidesAndThenTheCertificate(t *testing.T) {
	access := &Access{
		Tokens: []Token{NewToken("ada", Admin, adminSecret), NewToken("vera", Viewer, viewerSecret)},
		Certificates: []Certificate{
			{"scraper.example.org", Viewer}, {"spiffe://example.org/otto", Operator}, {"scraper", Admin},
		},
	}
	uri, err := url.Parse("spiffe://example.org/otto")
	must(t, err)
	scraper := &x509.Certificate{Subject: pkix.Name{CommonName: "scraper"}, DNSNames: []string{"scraper.example.org"}}
	otto := &x509.Certificate{Subject: pkix.Name{CommonName: "o"}, URIs: []*url.URL{uri}}
	other := &x509.Certificate{Subject: pkix.Name{CommonName: "other"}, DNSNames: []string{"x.scraper.example.org"}}
	for name, test := range map[string]struct {
		request *http.Request
		who     string
		role    Role
	}{
		"token":                      {request("Bearer "+viewerSecret, false, nil), "vera", Viewer},
		"token and certificate":      {request("Bearer "+viewerSecret, true, otto), "vera", Viewer},
		"wrong token, certificate":   {request("Bearer wrong", true, otto), "", 0},
		"another scheme":             {request("Basic "+adminSecret, true, otto), "", 0},
		"certificate":                {request("", true, otto), "spiffe://example.org/otto", Operator},
		"the first name in the list": {request("", true, scraper), "scraper.example.org", Viewer},
		"unknown certificate":        {request("", true, other), "", 0},
		"unverified certificate":     {request("", false, otto), "", 0},
		"nothing":                    {request("", false, nil), "", 0},
	} {
		who, ok := access.bearer(test.request)
		if who.Name != test.who || who.Role != test.role || ok != (test.who != "") {
			t.Errorf("%s: %q, %s, %t", name, who.Name, who.Role, ok)
		}
	}
}

func TestReloadedAccessIsWholeOrNotAtAll(t *testing.T) {
	n := start(t, Config{})
	for _, wrong := range []Access{
		{}, {Tokens: []Token{{Name: "x"}}}, {Tokens: []Token{NewToken("a", Admin, adminSecret)}, Certificates: []Certificate{{"", Admin}}},
	} {
		if n.admin.Reload(wrong) == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for i := range 500 {
			if err := n.admin.Reload(Access{Tokens: []Token{NewToken("ada", Role(1+i%3), adminSecret)}}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		if status, answer := n.post(adminSecret, "/callboard.admin.v1.AdminService/GetStats", "{}"); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	reloads.Wait()
	if status, _ := n.post(viewerSecret, "/callboard.admin.v1.AdminService/GetStats", "{}"); status != http.StatusUnauthorized {
		t.Errorf("who was taken out gets %d", status)
	}
}
