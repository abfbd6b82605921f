package localca_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/localca"
)

func TestIssue_namesAndValidity(t *testing.T) {
	ca, err := localca.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Issue("localhost", "gateway.example", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(issued.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"localhost", "gateway.example", "127.0.0.1", "::1"} {
		_, err := cert.Verify(x509.VerifyOptions{
			DNSName: name, Roots: ca.Pool(),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			t.Errorf("verify for %s: %v", name, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{DNSName: "other.example", Roots: ca.Pool()}); err == nil {
		t.Error("accepted for a name it was not issued for")
	}
	if diff := cmp.Diff([]string{"localhost", "gateway.example"}, cert.DNSNames); diff != "" {
		t.Errorf("DNS names (-want +got):\n%s", diff)
	}
	if !cert.NotBefore.Before(time.Now().Add(-time.Minute)) {
		t.Errorf("NotBefore %v is not in the past", cert.NotBefore)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore); life > 366*24*time.Hour {
		t.Errorf("valid for %v, want a year or less", life)
	}
}

func TestIssue_noHost(t *testing.T) {
	ca, err := localca.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Issue(); err == nil {
		t.Error("got a certificate without a host")
	}
}

func TestLoadOrCreate_keepsAuthority(t *testing.T) {
	dir := t.TempDir()
	first, err := localca.LoadOrCreate(dir, "test authority")
	if err != nil {
		t.Fatal(err)
	}
	second, err := localca.LoadOrCreate(dir, "another name")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.CertPEM(), second.CertPEM()); diff != "" {
		t.Errorf("authority changed between starts:\n%s", diff)
	}

	issued, err := second.Issue("localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(issued.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{DNSName: "localhost", Roots: first.Pool()}); err != nil {
		t.Errorf("the first start's pool refuses the second start's certificate: %v", err)
	}

	info, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("key file mode = %o, want 600", got)
	}
}

func TestLoadOrCreate_damagedAuthority(t *testing.T) {
	tests := map[string]func(t *testing.T, dir string){
		"key missing": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, "ca-key.pem")); err != nil {
				t.Fatal(err)
			}
		},
		"certificate is garbage": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"key of another authority": func(t *testing.T, dir string) {
			t.Helper()
			other := t.TempDir()
			if _, err := localca.LoadOrCreate(other, "other"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other, "ca-key.pem"), filepath.Join(dir, "ca-key.pem")); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := localca.LoadOrCreate(dir, "test authority"); err != nil {
				t.Fatal(err)
			}
			damage(t, dir)
			if _, err := localca.LoadOrCreate(dir, "test authority"); err == nil {
				t.Error("loaded a damaged authority")
			}
		})
	}
}

// If the process was killed during its first start, the next start loads its complete
// files or creates new ones, and removes temporary files.
func TestLoadOrCreate_afterAKill(t *testing.T) {
	left := map[string][]string{
		"in the key":             {"ca-key.pem.tmp"},
		"before the certificate": {"ca-key.pem"},
		"in the certificate":     {"ca-key.pem", "ca.pem.tmp"},
		"behind the certificate": {"ca-key.pem", "ca.pem"},
	}
	for name, files := range left {
		t.Run(name, func(t *testing.T) {
			dir, whole := t.TempDir(), t.TempDir()
			if _, err := localca.LoadOrCreate(whole, "test authority"); err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(filepath.Join(whole, strings.TrimSuffix(file, ".tmp")))
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(file, ".tmp") {
					text = text[:len(text)/2]
				}
				if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := localca.LoadOrCreate(dir, "test authority"); err != nil {
				t.Error(err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) != 2 {
				t.Errorf("the directory holds %v, want two files", entries)
			}
		})
	}
}

// The files are replaced atomically: an existing file is not written to.
func TestLoadOrCreate_writesWholeFiles(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(elsewhere, filepath.Join(dir, "ca-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := localca.LoadOrCreate(dir, "test authority"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(elsewhere); err != nil || len(text) > 0 {
		t.Errorf("the key was written in place: %d bytes, %v", len(text), err)
	}
}
