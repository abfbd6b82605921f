package demo

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway/access"
)

// gatewayFiles are the files of the gateway: its configuration and what that names, in a
// folder of their own. All of them are for this user alone.
type gatewayFiles struct {
	dir    string
	config string // path
	ca     string // path; the module trusts it
	token  string // of the viewer, for the URLs
	admin  string // of the page's user: it stays in this process, and makes a login for the page
}

// write writes a file and returns its path.
func (f *gatewayFiles) write(name string, content []byte) (string, error) {
	path := filepath.Join(f.dir, name)
	return path, os.WriteFile(path, content, 0o600)
}

// certify makes the gateway's certificate authority, another one than the hub's, as in a
// real deployment.
func (f *gatewayFiles) certify() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	ca, err := localca.New("rtsptunnel demo gateway CA")
	if err != nil {
		return err
	}
	if f.ca, err = f.write("ca.pem", ca.CertPEM()); err != nil {
		return err
	}
	pair, err := ca.Issue("127.0.0.1")
	if err != nil {
		return err
	}
	return f.writePair(pair)
}

// The files of the certificate.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

func (f *gatewayFiles) writePair(pair tls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	if _, err := f.write(certFile, chain); err != nil {
		return err
	}
	_, err = f.write(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	return err
}

type object = map[string]any

// configure writes the configuration: a hub whose cameras are discovered, the logins of the
// user's cameras, and one token. JSON is YAML.
func (f *gatewayFiles) configure(d *demo) error {
	hub, err := f.write("hub", []byte(d.hub.OwnerConnectionString()))
	if err != nil {
		return err
	}
	credentials, err := f.credentials(d.cameras)
	if err != nil {
		return err
	}
	var hash access.Hash
	var adminHash access.Hash
	f.token, hash = access.Generate()
	f.admin, adminHash = access.Generate()
	grace := "10s" // as by default
	if d.once {
		grace = "0s"
	}
	file, err := json.MarshalIndent(object{
		"listen": object{
			"public": []any{
				object{"address": d.public, "cert": filepath.Join(f.dir, certFile), "key": filepath.Join(f.dir, keyFile)}, // tunnels
				object{"address": d.page}, // browsers: they do not trust the demo's authority
			},
			"rtsp":    object{"address": d.rtsp},
			"private": object{"address": "127.0.0.1:0"},
		},
		"publicURL":   "https://" + d.public,
		"hubs":        object{"demo": object{"connectionStringFile": hub, "caFile": d.hub.CAFile(), "discover": true}},
		"credentials": credentials,
		"access": object{"tokens": []any{
			object{"name": "demo", "role": "viewer", "cameras": []string{"*"}, "sha256": hash.String()},
			object{"name": "operator", "role": "admin", "cameras": []string{"*"}, "sha256": adminHash.String()},
		}},
		"live": object{"grace": grace},
		"log":  object{"format": "json"},
		"data": filepath.Join(f.dir, "data"),
	}, "", "  ")
	if err != nil {
		return err
	}
	f.config, err = f.write("tunnelgateway.yaml", append(file, '\n'))
	return err
}

// credentials writes the logins of cameras and returns the section that names them.
func (f *gatewayFiles) credentials(cameras []*camera) (object, error) {
	section := object{}
	for _, c := range cameras {
		if c.username == "" {
			continue
		}
		user, err := f.write(c.name+"-user", []byte(c.username))
		if err != nil {
			return nil, err
		}
		password, err := f.write(c.name+"-password", []byte(c.password))
		if err != nil {
			return nil, err
		}
		section[c.name] = object{"usernameFile": user, "passwordFile": password, "cameras": []string{c.fullName()}}
	}
	return section, nil
}
