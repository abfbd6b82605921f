package config

import (
	"strconv"
	"strings"
)

// readRemote takes what remote endpoints may be, and what they are told.
func (m *Module) readRemote(own own) {
	m.AllowLoopbackRemote = m.boolean("RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE", own.AllowLoopbackRemote)
	m.AllowPlaintextRemote = m.boolean("RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE", own.AllowPlaintextRemote)
	if isSuffix(own.UserAgentSuffix) {
		m.UserAgentSuffix = own.UserAgentSuffix
	} else {
		m.fault("RTSPTUNNEL_USER_AGENT_SUFFIX", "is not at most 128 characters of printable ASCII with paired parentheses and a blank neither first nor last; none is sent")
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

// isSuffix tells whether s may stand at the end of a User-Agent: nothing in it ends the
// field, or a comment of the field that it did not begin (RFC 9110, 5.6.5).
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
