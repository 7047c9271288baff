package keys

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func newCA(t *testing.T, dir string) *CA {
	t.Helper()
	ca, err := LocalCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *CA, names ...string) *x509.Certificate {
	t.Helper()
	c, err := ca.Issue(names...)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestClientsOfTheRootTrustWhatItIssues(t *testing.T) {
	ca := newCA(t, t.TempDir())
	text, err := os.ReadFile(ca.File())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no root in the file")
	}
	leaf := issue(t, ca, "a.example", "localhost", "127.0.0.1", "::1")
	for _, name := range []string{"a.example", "localhost", "127.0.0.1", "::1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 || !ca.Root().MaxPathLenZero {
		t.Error("the leaf could issue")
	}
}

func TestKeysAreForTheServerAlone(t *testing.T) {
	dir := t.TempDir()
	issue(t, newCA(t, dir), "a.example")
	for file, want := range map[string]os.FileMode{"ca.key": 0o600, "ca.pem": 0o644, "issued/a.example.pem": 0o600, "issued": 0o700} {
		st, err := os.Stat(filepath.Join(dir, file))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, st.Mode(), err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".new-*"))
	if len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAfterARestartItIsTheSame(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, dir)
	leaf := issue(t, ca, "a.example", "localhost")
	again := newCA(t, dir)
	if !again.Root().Equal(ca.Root()) {
		t.Error("another root")
	}
	if !issue(t, again, "a.example", "localhost").Equal(leaf) {
		t.Error("another certificate for the same names")
	}
	if issue(t, again, "a.example").Equal(leaf) {
		t.Error("the same certificate for other names")
	}
}

func TestRenewedAtTwoThirdsOfItsLife(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := newCA(t, dir)
		leaf := issue(t, ca, "a.example")
		time.Sleep(59 * 24 * time.Hour)
		if !issue(t, ca, "a.example").Equal(leaf) || !issue(t, newCA(t, dir), "a.example").Equal(leaf) {
			t.Error("renewed after 59 days")
		}
		time.Sleep(24 * time.Hour)
		renewed := issue(t, ca, "a.example")
		if renewed.Equal(leaf) || renewed.NotAfter.Sub(leaf.NotAfter) != 60*24*time.Hour {
			t.Error("not renewed after 60 days")
		}
		if !issue(t, newCA(t, dir), "a.example").Equal(renewed) {
			t.Error("the renewed one is not kept")
		}
		time.Sleep(9*365*24*time.Hour + 300*24*time.Hour)
		if late := issue(t, ca, "a.example"); late.NotAfter.After(ca.Root().NotAfter) {
			t.Errorf("valid until %v, its root until %v", late.NotAfter, ca.Root().NotAfter)
		}
		time.Sleep(365 * 24 * time.Hour)
		if _, err := LocalCA(dir); err == nil {
			t.Error("an expired root is taken")
		}
	})
}

// TestHalfAFolderIsNotReplaced: a new root would make every client complain, so it is not made without being asked for.
func TestHalfAFolderIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	newCA(t, dir)
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := LocalCA(dir); err == nil {
		t.Error("a root without key is taken")
	}
	other := newCA(t, t.TempDir())
	text, err := os.ReadFile(other.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "ca.key", string(text))
	if _, err := LocalCA(dir); err == nil {
		t.Error("a root with another's key is taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "ca.pem")); err != nil {
		t.Error(err)
	}
}

func TestBrokenIssuedFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, dir)
	issue(t, ca, "a.example")
	write(t, dir, "issued/a.example.pem", "broken")
	leaf := issue(t, newCA(t, dir), "a.example")
	if !issue(t, newCA(t, dir), "a.example").Equal(leaf) {
		t.Error("not kept")
	}
	if _, err := ca.Issue(); err == nil {
		t.Error("a certificate for nobody")
	}
}
