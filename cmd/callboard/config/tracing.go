package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// The names and values of headers that collectors ask for (RFC 9110, 5.1 and 5.5), without those
// that hardly anybody means to give.
var (
	headerName  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	headerValue = regexp.MustCompile(`^[[:graph:]]([[:print:]]*[[:graph:]])?$`)
)

func checkCollector(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("is no URL of a collector: give one like http://127.0.0.1:4318, and what is secret in tracing.headers")
	}
	return nil
}

// checkHeader says nothing of the value, which is a secret.
func checkHeader(text string) error {
	name, value, found := strings.Cut(text, "=")
	switch {
	case !found || !headerName.MatchString(name):
		return errors.New("is no header: give it as name=value, like authorization=Bearer TOKEN")
	case !headerValue.MatchString(value):
		return fmt.Errorf("is no value for the header %s: give one of printable ASCII, without spaces around it", name)
	}
	return nil
}

// inClear is whether what is sent to a URL can be read on the way.
func inClear(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && !IsLoopbackHost(u.Hostname())
}
