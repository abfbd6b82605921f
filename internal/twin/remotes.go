package twin

import (
	"net/url"
	"strconv"
	"strings"
)

// checkRemotes tells by label what is wrong with patterns that the schema admits.
func checkRemotes(patterns map[string]string) map[string]string {
	faults := make(map[string]string)
	for label, pattern := range patterns {
		if !validPort(afterHost(strings.TrimPrefix(pattern, "*."))) {
			faults[label] = "the port must be from 1 to 65535"
		}
	}
	return faults
}

// checkProxy tells what is wrong with a proxy's URL that the schema admits.
func checkProxy(address string) (text string) {
	u, err := url.Parse(address)
	if err != nil || !validPort(u.Port()) {
		return "must be a URL whose port is from 1 to 65535"
	}
	return ""
}

// afterHost is the port of host:port, which may be missing.
func afterHost(pattern string) string {
	if end := strings.LastIndexByte(pattern, ']'); end >= 0 {
		pattern = pattern[end:]
	}
	_, port, _ := strings.Cut(pattern, ":")
	return port
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535
}
