package config

import (
	"strconv"
	"strings"
)

// readRemote sets which remote endpoints a lab allows, and the User-Agent suffix that
// endpoints get.
func (m *Module) readRemote(own own) {
	m.AllowLoopbackRemote = m.boolean("RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE", own.AllowLoopbackRemote)
	m.AllowPlaintextRemote = m.boolean("RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE", own.AllowPlaintextRemote)
	if isSuffix(own.UserAgentSuffix) {
		m.UserAgentSuffix = own.UserAgentSuffix
	} else {
		m.fault("RTSPTUNNEL_USER_AGENT_SUFFIX", "must be at most 128 printable ASCII characters, with balanced parentheses and without a space at either end; no suffix is sent")
	}
}

func (m *Module) boolean(variable, value string) bool {
	b, err := strconv.ParseBool(value)
	if value != "" && err != nil {
		m.fault(variable, "is not true or false; false is in force")
	}
	return b
}

const maxSuffix = 128 // characters

// isSuffix reports whether s may be appended to a User-Agent: it cannot end the header
// field, nor close a comment that it did not open (RFC 9110, 5.6.5).
func isSuffix(s string) bool {
	depth := 0
	for _, c := range []byte(s) {
		switch {
		case c < ' ' || c > '~':
			return false
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && len(s) <= maxSuffix && strings.TrimSpace(s) == s
}
