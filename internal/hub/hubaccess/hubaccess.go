// Package hubaccess connects operators' commands to their hub. It reads the connection
// string from the environment or a file, never from an argument, and the authorities to
// trust; and it gives advice on a hub's errors. All commands share it, so that they name
// their hub in the same way.
package hubaccess

import (
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"

	"rtsptunnel/internal/hub/hubclient"
)

// Access names a command's hub. The zero value takes the environment's.
type Access struct {
	ConnectionFile string // with the connection string, instead of HUB_CONNECTION_STRING
	CAFile         string // with certificates in PEM, instead of HUB_CA_FILE and CA_FILE
}

// Flags defines the flags that set the fields of a.
func (a *Access) Flags(flags *flag.FlagSet) {
	flags.StringVar(&a.ConnectionFile, "connection-string-file", "", "`FILE` with the hub's connection string, instead of HUB_CONNECTION_STRING")
	flags.StringVar(&a.CAFile, "ca-file", "", "`FILE` with certificates (PEM) of authorities to trust in addition to the system's")
}

// Help is the paragraph that every command's help has.
const Help = `The hub's connection string comes from the environment variable HUB_CONNECTION_STRING or
from --connection-string-file FILE, never from an argument. --ca-file FILE, HUB_CA_FILE or
CA_FILE names the authority of an emulator (its ca.pem), which is trusted in addition to
the system's.`

// Open returns a client without asking the hub; the caller closes the client. Every error
// is a mistake in what the user named, or something that is not named. getenv works as
// os.Getenv.
func (a Access) Open(getenv func(string) string) (*hubclient.Client, error) {
	text, source, err := a.connectionString(getenv)
	if err != nil {
		return nil, err
	}
	roots, err := a.roots(getenv)
	if err != nil {
		return nil, err
	}
	client, err := hubclient.New(text, hubclient.Options{Roots: roots})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return client, nil
}

// connectionString returns the connection string and where it comes from.
func (a Access) connectionString(getenv func(string) string) (text, source string, err error) {
	const variable = "HUB_CONNECTION_STRING"
	if a.ConnectionFile != "" {
		b, err := ReadFile(a.ConnectionFile)
		if err != nil {
			return "", "", fmt.Errorf("--connection-string-file: %w", err)
		}
		return string(b), a.ConnectionFile, nil
	}
	if text = getenv(variable); text == "" {
		return "", "", fmt.Errorf("which hub? Set %s, or name a file by --connection-string-file; for an emulator, it is the first line that hubemulator serve prints", variable)
	}
	return text, variable, nil
}

// roots returns nil, for those of the system alone, unless a file is named.
func (a Access) roots(getenv func(string) string) (*x509.CertPool, error) {
	source, name := "--ca-file", a.CAFile
	for _, variable := range []string{"HUB_CA_FILE", "CA_FILE"} {
		if name == "" {
			source, name = variable, getenv(variable)
		}
	}
	if name == "" {
		return nil, nil //nolint:nilnil // nil is the system's pool
	}
	pem, err := ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the machine trusts no authority
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", source, name)
	}
	return roots, nil
}

// maxInput is far more than a hub accepts, in bytes.
const maxInput = 1 << 20

// ReadFile reads a file whose content goes to a hub, 1 MiB at most.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the user of the command names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return ReadLimited(f)
}

// ReadLimited is ReadFile for an open file or stream.
func ReadLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("more than %d KB is more than any hub accepts", maxInput>>10)
	}
	return b, nil
}

// secret matches connection strings, tokens and their parts.
var secret = regexp.MustCompile(`(?i)SharedAccess(Key|Signature)|HostName=.*;`)

var errSecret = errors.New(`an argument looks like a connection string or a key, and was not read.
Every user of this machine sees the arguments of a running program, and shells keep
them. Set the environment variable HUB_CONNECTION_STRING, or put the connection string
into a file and name it by --connection-string-file FILE. Put a payload, twin or tags
with a key into a file too`)

// CheckArguments refuses arguments that look like secrets, before anything repeats them.
func CheckArguments(args []string) error {
	if slices.ContainsFunc(args, secret.MatchString) {
		return errSecret
	}
	return nil
}
