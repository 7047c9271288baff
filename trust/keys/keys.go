// Package keys makes, reads and checks certificate chains with their private keys: those of the local CA, and those that
// an operator puts beside the server.
package keys

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxFile bounds what is read from a file: a long chain is 20 KiB.
const maxFile = 1 << 20

// Load reads a PEM file with a certificate chain and its private key, in any order, and checks that it can serve domain;
// "" checks no name. A chain that has expired is an error that is ErrExpired, and is returned beside it.
//
// A file with certificates only gets its key from the file of the same name that ends in .key.
func Load(file, domain string) (*tls.Certificate, error) {
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	cert, err := Parse(b)
	if errors.Is(err, errNoKey) {
		var key []byte
		keyFile := file[:len(file)-len(filepath.Ext(file))] + ".key"
		if key, err = readFile(keyFile); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w, and %s does not exist", file, errNoKey, keyFile)
		} else if err == nil {
			cert, err = Parse(append(append(b, '\n'), key...))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if domain != "" {
		if err := Covers(cert.Leaf, domain); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := inTime(cert.Leaf, time.Now()); err != nil {
		return cert, fmt.Errorf("%s: %w", file, err)
	}
	return cert, nil
}

func readFile(file string) ([]byte, error) {
	// Before it is opened: opening a pipe would wait for a writer.
	if st, err := os.Stat(file); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, fmt.Errorf("%s is not an ordinary file of at most %d bytes", file, maxFile)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// ErrExpired is about a chain whose time has not come or is over.
var ErrExpired = errors.New("not valid now")

var errNoKey = errors.New("there is no private key in it")

// Parse reads a chain and its key from PEM text, in any order. The certificate of the key becomes the first; the others
// follow in the order of their signatures, and what does not belong to the chain is left out.
func Parse(text []byte) (*tls.Certificate, error) {
	var certs []*x509.Certificate
	var key crypto.Signer
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
			}
			certs = append(certs, c)
		case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
			if key != nil {
				return nil, errors.New("there is more than one private key in it")
			}
			var err error
			if key, err = parseKey(block); err != nil {
				return nil, err
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted; store it without a passphrase, readable by the server alone")
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	if key == nil {
		return nil, errNoKey
	}
	return chain(certs, key)
}

func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: %T cannot sign", key)
	}
	return signer, nil
}

func chain(certs []*x509.Certificate, key crypto.Signer) (*tls.Certificate, error) {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok {
		return nil, fmt.Errorf("private key: %T cannot be compared", key.Public())
	}
	var leaf *x509.Certificate
	for _, c := range certs {
		if public.Equal(c.PublicKey) {
			leaf = c
			break
		}
	}
	if leaf == nil {
		return nil, errors.New("the private key belongs to none of the certificates")
	}
	out := &tls.Certificate{Leaf: leaf, PrivateKey: key, Certificate: [][]byte{leaf.Raw}}
	last := leaf
	for range certs { // CAs that have signed each other would go on for ever
		next := issuer(last, certs)
		if next == nil {
			break
		}
		out.Certificate = append(out.Certificate, next.Raw)
		last = next
	}
	return out, nil
}

// issuer finds who signed c. Roots are not sent: whoever trusts one has it.
func issuer(c *x509.Certificate, among []*x509.Certificate) *x509.Certificate {
	for _, p := range among {
		selfSigned := string(p.RawIssuer) == string(p.RawSubject)
		if p != c && !selfSigned && string(c.RawIssuer) == string(p.RawSubject) && c.CheckSignatureFrom(p) == nil {
			return p
		}
	}
	return nil
}

func inTime(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: it expired on %s", ErrExpired, leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: it begins on %s", ErrExpired, leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return nil
}

// writeFile writes a file whole or not at all.
func writeFile(file string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
