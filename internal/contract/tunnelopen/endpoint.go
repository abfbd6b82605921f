package tunnelopen

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"rtsptunnel/internal/contract/reason"
)

const maxEndpoint = 8 << 10 // bytes; many servers accept no longer request line

// parseEndpoint accepts URLs that every parser interprets the same: the policy, which
// checks the host, and the dialer must not disagree. Names outside ASCII are allowed. No
// error repeats the URL.
func (d Decoder) parseEndpoint(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, reason.New(reason.RequestField, errors.New("empty"))
	}
	if len(endpoint) > maxEndpoint {
		return nil, reason.New(reason.RequestSize, fmt.Errorf("longer than %d bytes", maxEndpoint))
	}
	u, err := d.parseURL(endpoint)
	if err != nil {
		return nil, reason.New(reason.RequestEndpoint, err)
	}
	return u, nil
}

func (d Decoder) parseURL(endpoint string) (*url.URL, error) {
	if !visible(endpoint) {
		return nil, errors.New("has an invisible or invalid character")
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("not a URL") // url.Error repeats the URL, userinfo included
	}
	switch {
	case u.Scheme != "wss" && (u.Scheme != "ws" || !d.Plaintext):
		return nil, errors.New("scheme is not wss")
	case u.User != nil:
		return nil, errors.New("userinfo is not allowed")
	case strings.Contains(endpoint, "#"):
		return nil, errors.New("a fragment is not allowed")
	}
	return u, checkHost(u)
}

// checkHost checks the host as it is dialed: url.Parse has decoded its escapes.
func checkHost(u *url.URL) error {
	switch host := u.Hostname(); {
	case host == "":
		return errors.New("no host")
	case !visible(host):
		return errors.New("the host has an invisible or invalid character")
	case strings.Contains(host, "%"): // names an interface of this device (IPv6)
		return errors.New("a zone is not allowed")
	case strings.Contains(host, ":") && !strings.HasPrefix(u.Host, "["):
		return errors.New("an IPv6 address without brackets, or two ports")
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("no port after the colon")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return errors.New("port out of range")
		}
	}
	return nil
}

// visible tells whether all characters of s are printable: no space, control, line
// separator or bidirectional mark, and no U+FFFD, which replaces invalid characters such
// as half of a surrogate pair.
func visible(s string) bool {
	for _, c := range s {
		if c == ' ' || c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
