// Package hubaccess is how the commands of operators find their hub: the connection
// string from the environment or a file, never from an argument; the authorities to
// trust; and what to do about a hub's errors. It is one for all commands, so that they
// are told of their hub in one way.
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

// Access is where a command's hub is told. The zero value is of use: the environment.
type Access struct {
	ConnectionFile string // with the connection string, instead of HUB_CONNECTION_STRING
	CAFile         string // with certificates in PEM, instead of HUB_CA_FILE and CA_FILE
}

// Flags defines the flags that set it.
func (a *Access) Flags(flags *flag.FlagSet) {
	flags.StringVar(&a.ConnectionFile, "connection-string-file", "", "`FILE` with the hub's connection string, instead of HUB_CONNECTION_STRING")
	flags.StringVar(&a.CAFile, "ca-file", "", "`FILE` with certificates (PEM) of authorities to trust besides the system's")
}

// Help is the paragraph on it that every command's help has.
const Help = `The hub's connection string comes from the environment variable
HUB_CONNECTION_STRING or from --connection-string-file FILE, never from an argument.
An emulator's certificate (ca.pem) is named by --ca-file FILE, HUB_CA_FILE or CA_FILE;
what the system trusts is trusted besides.`

// Open returns a client, which the caller closes; nothing is asked of the hub. Every
// error is what the user has named wrongly or not at all. getenv is os.Getenv, or as
// that.
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

// connectionString returns it and where it is from.
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
		return "", "", fmt.Errorf("which hub? Set %s, or name a file by --connection-string-file; an emulator's is the first line that hubemulator serve prints", variable)
	}
	return text, variable, nil
}

// roots are nil, which is the system's, unless a file is named.
func (a Access) roots(getenv func(string) string) (*x509.CertPool, error) {
	source, name := "--ca-file", a.CAFile
	for _, variable := range []string{"HUB_CA_FILE", "CA_FILE"} {
		if name == "" {
			source, name = variable, getenv(variable)
		}
	}
	if name == "" {
		return nil, nil //nolint:nilnil // nil is a pool: the system's
	}
	pem, err := ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine that trusts nobody
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", source, name)
	}
	return roots, nil
}

// maxInput is far above what a hub takes, in bytes.
const maxInput = 1 << 20

// ReadFile reads a file that a hub may be told of, 1 MB at most.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the caller of the command names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return ReadLimited(f)
}

// ReadLimited is ReadFile for what is open already.
func ReadLimited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxInput {
		return nil, fmt.Errorf("more than %d KB is more than any hub takes", maxInput>>10)
	}
	return b, nil
}

// secret matches connection strings, tokens and their parts.
var secret = regexp.MustCompile(`(?i)SharedAccess(Key|Signature)|HostName=.*;`)

var errSecret = errors.New(`an argument holds what looks like a connection string or a key, and was not read.
Every user of this machine sees the arguments of a running program, and shells keep
them. Set the environment variable HUB_CONNECTION_STRING, or put the connection string
into a file of your own and name it by --connection-string-file FILE. A payload, twin or
tags with a key in it go into a file too`)

// CheckArguments refuses arguments that look like secrets, before anything repeats them.
func CheckArguments(args []string) error {
	if slices.ContainsFunc(args, secret.MatchString) {
		return errSecret
	}
	return nil
}
