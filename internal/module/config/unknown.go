package config

import (
	"slices"
	"strings"
)

// unknown finds the variables with our prefix that nobody reads: a misspelt one
// would otherwise silently be the default.
func unknown(environ []string) []Fault {
	known := ownNames()
	var faults []Fault
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, ownPrefix+"_") && !slices.Contains(known, name) {
			faults = append(faults, Fault{name, "is unknown; the nearest known name is " + nearest(name, known)})
		}
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Variable, b.Variable) })
	return faults
}

// nearest is the known name that takes the fewest edits.
func nearest(name string, names []string) string {
	best, edits := "", -1
	for _, known := range names {
		if n := distance(name, known); edits < 0 || n < edits {
			best, edits = known, n
		}
	}
	return best
}

// maxName bounds the work that a name can cause, in bytes.
const maxName = 256

// distance is how many bytes must be put in, taken out or replaced to make b of a
// (Levenshtein's, row by row).
func distance(a, b string) int {
	a = a[:min(len(a), maxName)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
