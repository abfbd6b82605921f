package sas

import (
	"net"
	"net/url"
	"strings"
)

// Covers reports whether a token for resource is valid for expected. Both have the form
// "{host}[:{port}]/{path}". resource may be percent-encoded any number of times (clients
// encode once or twice); expected is not encoded.
//
// resource covers expected if both are equal, or if resource is a prefix of expected
// that ends before a '/': a token for "hub" or "hub/devices/d" is valid for
// "hub/devices/d/modules/m". Ports and letter case are ignored, as in Azure/iotedge,
// DeviceScopeTokenAuthenticator.
func Covers(resource, expected string) bool {
	expected = withoutPort(expected)
	for {
		if isPrefix(withoutPort(resource), expected) {
			return true
		}
		// Each round removes an escape, so the loop ends; Parse limits the length.
		plain, err := url.PathUnescape(resource)
		if err != nil || plain == resource {
			return false
		}
		resource = plain
	}
}

// isPrefix reports whether resource is equal to expected, or to its beginning before a
// '/'.
func isPrefix(resource, expected string) bool {
	if len(resource) > len(expected) || resource == "" {
		return false
	}
	border := len(resource) == len(expected) || expected[len(resource)] == '/'
	return border && strings.EqualFold(resource, expected[:len(resource)])
}

func withoutPort(resource string) string {
	authority, path, hasPath := strings.Cut(resource, "/")
	if host, _, err := net.SplitHostPort(authority); err == nil {
		authority = host
	}
	if !hasPath {
		return authority
	}
	return authority + "/" + path
}
