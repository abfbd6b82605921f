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

// This file reads what variables name: keys, certificates and roots. Each is read
// whenever it is asked for, since all of them are replaced while the module runs.

const maxFile = 1 << 20 // bytes

var (
	errNotRegular = errors.New("cannot read the file: it is not a regular file")
	errTooLarge   = errors.New("cannot read the file: it is larger than 1 MiB")
	errNotText    = errors.New("the file is not text in UTF-8")
)

// readFile reads a small file. A pipe it does not open: that would wait for a writer
// without end, each time. The error does not repeat the path: a secret that was put
// into the variable of a file would be told by it.
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

// Key is the identity's symmetric key. A connection string that came from a file is
// read from it again; that it still is of the same identity is checked. No error
// repeats any of it.
func (i Identity) Key() ([]byte, error) {
	key := i.SharedAccessKey
	if i.file != "" {
		c, err := readConnectionString(i.file)
		if err == nil && (c.host != i.HubHost || c.gateway != i.GatewayHost || c.device != i.DeviceID || c.module != i.ModuleID) {
			err = errors.New("the connection string is of another identity than at start: restart the module to take it")
		}
		if err == nil && c.key == "" {
			err = errors.New("the connection string has no SharedAccessKey any more")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Source, err)
		}
		key = c.key
	}
	return base64.StdEncoding.DecodeString(string(key))
}

// byteOrderMark is what some editors begin a file with.
const byteOrderMark = "\ufeff"

func readConnectionString(file string) (connectionString, error) {
	text, err := readFile(file)
	if err != nil {
		return connectionString{}, err
	}
	if !utf8.Valid(text) { // UTF-16, as some shells write it, would have no part that is known
		return connectionString{}, errNotText
	}
	return parseConnectionString(strings.TrimPrefix(string(text), byteOrderMark))
}

// Certificate is the identity's certificate chain and private key.
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

// AddRoots adds the certificates in a PEM file to pool. That there is none in it is
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
