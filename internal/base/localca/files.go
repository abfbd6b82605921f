package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rtsptunnel/internal/base/wholefile"
)

// This file stores an authority in a directory. The rules are:
//   - files are written atomically, and the key before the certificate, so that a
//     certificate never lacks its key, even if the process is killed between them;
//   - a new authority is created only if the certificate is absent: clients that trust
//     ca.pem must not meet another authority because a key was lost.

const (
	certFile = "ca.pem"
	keyFile  = "ca-key.pem"

	certType = "CERTIFICATE"
	keyType  = "PRIVATE KEY"
)

// LoadOrCreate loads the authority in dir, or creates and stores one: the certificate in
// ca.pem, the private key in ca-key.pem (mode 0600). The directory must exist. commonName
// is for a new authority only. A certificate without its key, or with another key, is an
// error.
func LoadOrCreate(dir, commonName string) (*CA, error) {
	certPEM, err := os.ReadFile(filepath.Join(dir, certFile)) //nolint:gosec // the caller names the directory; the file name is a constant
	if errors.Is(err, fs.ErrNotExist) {
		return create(dir, commonName)
	}
	if err != nil {
		return nil, fmt.Errorf("read authority certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, keyFile)) //nolint:gosec // the caller names the directory; the file name is a constant
	if err != nil {
		return nil, fmt.Errorf("read authority key: %w", err)
	}
	ca, err := parse(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("authority in %s: %w", dir, err)
	}
	return ca, nil
}

func create(dir, commonName string) (*CA, error) {
	ca, err := New(commonName)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("encode authority key: %w", err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: der})
	if err := wholefile.Write(filepath.Join(dir, keyFile), wholefile.Private, bytes.NewReader(keyPEM)); err != nil {
		return nil, fmt.Errorf("store authority key: %w", err)
	}
	if err := wholefile.Write(filepath.Join(dir, certFile), wholefile.Public, bytes.NewReader(ca.pem)); err != nil {
		return nil, fmt.Errorf("store authority certificate: %w", err)
	}
	return ca, nil
}

func parse(certPEM, keyPEM []byte) (*CA, error) {
	certBlock, _ := pem.Decode(certPEM)
	if certBlock == nil || certBlock.Type != certType {
		return nil, fmt.Errorf("%s holds no certificate", certFile)
	}
	keyBlock, _ := pem.Decode(keyPEM)
	if keyBlock == nil || keyBlock.Type != keyType {
		return nil, fmt.Errorf("%s holds no private key", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", keyFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, not an ECDSA key", keyFile, parsed)
	}
	return fromDER(certBlock.Bytes, key)
}

func fromDER(der []byte, key *ecdsa.PrivateKey) (*CA, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse authority certificate: %w", err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("authority certificate and key do not match")
	}
	return &CA{cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: certType, Bytes: der})}, nil
}
