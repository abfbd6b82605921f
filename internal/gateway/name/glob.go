package name

import (
	"errors"
	"fmt"
	"strings"
)

// CheckGlob returns why a text is not a glob for names of cameras, or nil. The error is for
// the author of a configuration.
func CheckGlob(glob string) error {
	if glob == "*" {
		return nil
	}
	if strings.Contains(glob, "**") {
		return errors.New("a glob has no **: write * for all cameras, or DEVICE/* for those of a device")
	}
	if err := CheckCamera(glob); err != nil {
		return fmt.Errorf("a glob is *, or two segments with any number of *: %w", err)
	}
	return nil
}

// Match reports whether a glob matches a decoded name. It compares segment by segment, and
// needs time in proportion to the product of the lengths at most. A glob that CheckGlob
// refuses matches what its characters say, or nothing.
func Match(glob, name string) bool {
	if glob == "*" {
		return true
	}
	if strings.Count(glob, "/") != strings.Count(name, "/") {
		return false
	}
	for {
		globSegment, globRest, more := strings.Cut(glob, "/")
		nameSegment, nameRest, _ := strings.Cut(name, "/")
		if !matchSegment(globSegment, nameSegment) {
			return false
		}
		if !more {
			return true
		}
		glob, name = globRest, nameRest
	}
}

// matchSegment matches one segment. After a mismatch it gives the last * one character
// more; an earlier * never needs more, since the last one accepts everything behind it.
func matchSegment(glob, name string) bool {
	g, n := 0, 0
	star, retry := -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, retry = g, n
			g++
		case g < len(glob) && glob[g] == name[n]:
			g++
			n++
		case star >= 0:
			retry++
			g, n = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
