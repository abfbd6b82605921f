package localca_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/localca"
)

func TestIssue_namesAndLife(t *testing.T) {
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
		t.Error("got a certificate for nobody")
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

func TestLoadOrCreate_refusesHalfAnAuthority(t *testing.T) {
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
				t.Error("took up a damaged authority")
			}
		})
	}
}
