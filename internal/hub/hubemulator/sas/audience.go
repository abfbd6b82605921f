package sas

import (
	"net"
	"net/url"
	"strings"
)

// Covers reports whether a token for resource may be used for expected. Both
// are "{host}[:{port}]/{path}"; resource may be percent-encoded any number of
// times (clients encode once or twice), expected is plain. resource covers
// expected if it is equal to it or stands above it, at a '/' border: a token
// for "hub" or "hub/devices/d" is good for "hub/devices/d/modules/m". Ports
// are not looked at, and letters of either case are the same (Azure/iotedge,
// DeviceScopeTokenAuthenticator, compares so).
func Covers(resource, expected string) bool {
	expected = withoutPort(expected)
	for {
		if above(withoutPort(resource), expected) {
			return true
		}
		// Each round removes an escape, so this ends; Parse bounds the length.
		plain, err := url.PathUnescape(resource)
		if err != nil || plain == resource {
			return false
		}
		resource = plain
	}
}

func above(resource, expected string) bool {
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
