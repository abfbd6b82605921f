package config

import (
	"slices"
	"strings"
)

// unknown returns a fault for each variable with our prefix that the module does not
// read. Without it, a misspelt variable would silently have no effect.
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

// nearest returns the known name with the smallest edit distance.
func nearest(name string, names []string) string {
	best, edits := "", -1
	for _, known := range names {
		if n := distance(name, known); edits < 0 || n < edits {
			best, edits = known, n
		}
	}
	return best
}

// maxName is how many bytes of a name are compared, to bound the work.
const maxName = 256

// distance is the Levenshtein distance in bytes, computed row by row.
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
