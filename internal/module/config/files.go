package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// This file reads the files that variables name: keys, certificates and roots. Each call
// reads the file again, because operators replace these files while the module runs.

const maxFile = 1 << 20 // bytes

var (
	errNotRegular = errors.New("cannot read the file: it is not a regular file")
	errTooLarge   = errors.New("cannot read the file: it is larger than 1 MiB")
	errNotText    = errors.New("the file is not text in UTF-8")
)

// readFile reads a regular file of at most maxFile bytes. It does not open pipes, since
// that blocks until there is a writer. The error does not repeat the path: an operator
// may have put a secret into the variable by mistake.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := os.Open(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errTooLarge
	}
	if err != nil {
		return nil, withoutPath(err)
	}
	return b, nil
}

func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("cannot read the file: %w", p.Err)
	}
	return err
}

// Key returns the identity's symmetric key, decoded. If the connection string came from
// a file, Key reads that file again and checks that it still names the same identity.
// No error repeats any part of the connection string.
func (i Identity) Key() ([]byte, error) {
	key := i.SharedAccessKey
	if i.file != "" {
		c, err := readConnectionString(i.file)
		if err == nil && (c.host != i.HubHost || c.gateway != i.GatewayHost || c.device != i.DeviceID || c.module != i.ModuleID) {
			err = errors.New("the connection string names another identity than at start: restart the module to use it")
		}
		if err == nil && c.key == "" {
			err = errors.New("the connection string no longer has a SharedAccessKey")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Source, err)
		}
		key = c.key
	}
	return base64.StdEncoding.DecodeString(string(key))
}

// byteOrderMark is what some editors write at the start of a file.
const byteOrderMark = "\ufeff"

func readConnectionString(file string) (connectionString, error) {
	text, err := readFile(file)
	if err != nil {
		return connectionString{}, err
	}
	if !utf8.Valid(text) { // some shells write UTF-16, in which no known part would be found
		return connectionString{}, errNotText
	}
	return parseConnectionString(strings.TrimPrefix(string(text), byteOrderMark))
}

// Certificate reads the identity's certificate chain and private key.
func (i Identity) Certificate() (tls.Certificate, error) {
	chain, err := readFile(i.certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("RTSPTUNNEL_CERT_FILE: %w", err)
	}
	key, err := readFile(i.keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("RTSPTUNNEL_KEY_FILE: %w", err)
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("RTSPTUNNEL_CERT_FILE and RTSPTUNNEL_KEY_FILE: %w", err)
	}
	return cert, nil
}

// AddRoots adds the certificates in a PEM file to pool. A file without certificates is
// an error.
func AddRoots(pool *x509.CertPool, file string) error {
	pem, err := readFile(file)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in the file")
	}
	return nil
}
