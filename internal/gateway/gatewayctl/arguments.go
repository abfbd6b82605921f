package gatewayctl

import (
	"errors"
	"regexp"
	"slices"
)

// secret matches static tokens, connection strings and their parts.
var secret = regexp.MustCompile(`(?i)rtt_[a-z0-9_-]{20}|SharedAccess(Key|Signature)|HostName=.*;|://[^/]*:[^/]*@`)

var errSecret = errors.New(`an argument looks like a token, a password or a connection string, and was not read.
Every user of this machine sees the arguments of a running program, and shells keep
them. Put it into a file, or into a variable of the environment`)

// checkArguments refuses arguments that look like secrets, before anything repeats them.
func checkArguments(args []string) error {
	if slices.ContainsFunc(args, secret.MatchString) {
		return errSecret
	}
	return nil
}
