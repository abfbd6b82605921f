package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The longest files that keys ending in File name, in bytes.
const (
	maxSecret = 64 << 10
	maxCA     = 1 << 20
)

// inputs are the files that were read, with the hash of each one's content; zero for those
// that cannot be read.
type inputs map[string][sha256.Size]byte

var errNoFile = errors.New("is not a regular file")

// read returns the content of a file, and its mode.
func (in inputs) read(path string, most int64) (text []byte, mode fs.FileMode, err error) {
	in[path] = [sha256.Size]byte{}
	text, mode, err = readLimited(path, most)
	if err == nil {
		in[path] = sha256.Sum256(text)
	}
	return text, mode, err
}

func readLimited(path string, most int64) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path) // before opening, which blocks for a pipe
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNoFile
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("has more than %d KiB", most>>10)
	}
	return text, info.Mode(), err
}

// readError is an error of a file as a text without its path, which the fault has.
func readError(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return "cannot be read: " + e.Err.Error()
	}
	return err.Error()
}

// changed reads all files again. It keeps none of their content, since it runs every few
// seconds.
func (in inputs) changed() bool {
	for path, was := range in {
		if hashOf(path) != was {
			return true
		}
	}
	return false
}

// hashOf returns zero for a file that cannot be read, or that is longer than any may be.
func hashOf(path string) (sum [sha256.Size]byte) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return sum
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return sum
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if n, err := io.Copy(hash, io.LimitReader(f, maxFile+1)); err != nil || n > maxFile {
		return sum
	}
	hash.Sum(sum[:0])
	return sum
}

// reference is a key that names a file or a variable.
type reference struct {
	path  []string
	value *string
	most  int64        // bytes
	set   func(string) // receives the content; nil: the wiring reads the file
}

// each calls visit for every reference, and stores what visit changed. The maps hold values,
// so they are written back.
func (l *loader) each(visit func(reference)) {
	for i := range l.Listen.Public {
		p, path := &l.Listen.Public[i], []string{"listen", "public", strconv.Itoa(i)}
		visit(reference{path: extend(path, "cert"), value: &p.Cert})
		visit(reference{path: extend(path, "key"), value: &p.Key})
	}
	visit(reference{path: []string{"listen", "rtsps", "cert"}, value: &l.Listen.RTSPS.Cert})
	visit(reference{path: []string{"listen", "rtsps", "key"}, value: &l.Listen.RTSPS.Key})
	visit(reference{path: []string{"data"}, value: &l.Data})
	for _, name := range slices.Sorted(maps.Keys(l.Hubs)) {
		h, path := l.Hubs[name], []string{"hubs", name}
		visit(reference{extend(path, "connectionStringFile"), &h.ConnectionStringFile, maxSecret, func(s string) { h.ConnectionString = Secret(s) }})
		visit(reference{extend(path, "caFile"), &h.CAFile, maxCA, func(s string) { h.CA = []byte(s) }})
		l.Hubs[name] = h
	}
	for _, name := range slices.Sorted(maps.Keys(l.Credentials)) {
		c, path := l.Credentials[name], []string{"credentials", name}
		visit(reference{extend(path, "usernameFile"), &c.UsernameFile, maxSecret, func(s string) { c.Username = s }})
		visit(reference{extend(path, "passwordFile"), &c.PasswordFile, maxSecret, func(s string) { c.Password = Secret(s) }})
		l.Credentials[name] = c
	}
	for i := range l.Access.Tokens {
		t, path := &l.Access.Tokens[i], []string{"access", "tokens", strconv.Itoa(i)}
		visit(reference{extend(path, "sha256File"), &t.SHA256File, maxSecret, func(s string) { t.SHA256 = s }})
		visit(reference{extend(path, "tokenFile"), &t.TokenFile, maxSecret, func(s string) { t.Clear = Secret(s) }})
	}
	visit(reference{[]string{"access", "sealKeyFile"}, &l.Access.SealKeyFile, maxSecret, func(s string) { l.Access.SealKey = Secret(s) }})
}

// leastSealKey is the length of a seal key, in characters: 128 bits in hexadecimal.
const leastSealKey = 32

// fromEnvironment is the prefix of a reference to a variable.
const fromEnvironment = "env:"

// references returns the variables that the file names.
func (l *loader) references() map[string]bool {
	names := map[string]bool{}
	l.each(func(r reference) {
		if name, ok := strings.CutPrefix(*r.value, fromEnvironment); ok && r.set != nil {
			names[name] = true
		}
	})
	return names
}

// absolute makes paths absolute: those in the file are relative to its folder.
func (l *loader) absolute(dir string) {
	l.each(func(r reference) {
		isVariable := strings.HasPrefix(*r.value, fromEnvironment) && r.set != nil
		if *r.value != "" && !isVariable && !filepath.IsAbs(*r.value) {
			*r.value = filepath.Join(dir, *r.value)
		}
	})
}

// readSecrets reads what the references name.
func (l *loader) readSecrets() {
	l.each(func(r reference) {
		if *r.value == "" || r.set == nil {
			return
		}
		text, fault := l.content(r)
		if text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"); fault == "" && text == "" {
			fault = "names a file or a variable that is empty"
		}
		if fault != "" {
			l.report(fault, r.path...)
			return
		}
		r.set(text)
	})
	if key := l.Access.SealKey; l.Access.SealKeyFile != "" && key != "" && len(strings.TrimSpace(string(key))) < leastSealKey {
		l.report("names a file or a variable with less than 32 characters: openssl rand -hex 32 makes one", "access", "sealKeyFile")
	}
	for i, t := range l.Access.Tokens {
		if t.SHA256File != "" && t.SHA256 != "" && !isSHA256(t.SHA256) {
			l.report("names a file or a variable that is not 64 hexadecimal digits", "access", "tokens", strconv.Itoa(i), "sha256File")
		}
	}
}

func (l *loader) content(r reference) (text, fault string) {
	if name, ok := strings.CutPrefix(*r.value, fromEnvironment); ok {
		value := l.env.value(name)
		if int64(len(value)) > r.most {
			return "", fmt.Sprintf("names a variable with more than %d KiB", r.most>>10)
		}
		return value, ""
	}
	b, mode, err := l.inputs.read(*r.value, r.most)
	if err != nil {
		return "", "names a file that " + readError(err)
	}
	const othersRead = 0o004
	if mode&othersRead != 0 && r.most == maxSecret {
		l.warn("names a file that all users of the machine can read", r.path...)
	}
	return string(b), ""
}

func isSHA256(text string) bool {
	const digits = 2 * sha256.Size
	return len(text) == digits && !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
}
