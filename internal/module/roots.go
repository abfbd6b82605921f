package module

import (
	"crypto/x509"
	"fmt"

	"rtsptunnel/internal/module/config"
)

// systemAnd is the system's roots, Go's, so that SSL_CERT_FILE counts, and those in
// file, if it has a name. An error says why the file's are not among them, which is
// not less safe. Nil is the system's alone.
func systemAnd(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // there are none
		roots = x509.NewCertPool()
	}
	return roots, config.AddRoots(roots, file)
}

// only is the roots in the file that the variable names.
func only(variable, file string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if err := config.AddRoots(roots, file); err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return roots, nil
}
