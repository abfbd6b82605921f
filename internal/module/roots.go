package module

import (
	"crypto/x509"
	"fmt"

	"rtsptunnel/internal/module/config"
)

// systemRootsAnd returns the system's roots (Go's, so that SSL_CERT_FILE counts) and the
// roots in file. A nil pool means the system's roots alone: file is empty. An error says
// why the pool lacks the file's roots; the pool can be used, since it trusts less.
func systemRootsAnd(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // there are none
		roots = x509.NewCertPool()
	}
	return roots, config.AddRoots(roots, file)
}

// rootsIn returns the roots in file, which the variable names, and no others.
func rootsIn(variable, file string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if err := config.AddRoots(roots, file); err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return roots, nil
}
