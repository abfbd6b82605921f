package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

// The expected value of the variable A in each file is python-dotenv's, which was run on
// them. nil means that A is not set.
func TestDotenv(t *testing.T) {
	set := func(value string) *string { return &value }
	for file, want := range map[string]*string{
		"A=b":                       set("b"),
		"A=b\r\n":                   set("b"),
		"\ufeffA=b":                 set("b"),
		"  export  A = b c  # d\n":  set("b c"),
		"A=b#c":                     set("b#c"),
		"A=":                        set(""),
		"A=   ":                     set(""),
		"A=\nB=c":                   set(""),
		"A":                         nil,
		"A\nB=c":                    nil,
		"'A'=b":                     set("b"),
		"A='b # c' # d":             set("b # c"),
		`A='b\'c\\d\n'`:             set(`b'c\d\n`),
		`A="b\"c\\d\n\te\x"`:        set("b\"c\\d\n\te\\x"),
		"A=\"b\nc\"":                set("b\nc"),
		"A='b\n\n'\nB=c":            set("b\n\n"),
		"# A=c\n\n  \nA=b\n":        set("b"),
		"A=b\nA=c":                  set("c"),
		"A=pa$$word$HOME":           set("pa$$word$HOME"),
		"B=c\nA=${B}-${ENV}":        set("c-value"),
		"B=c\nA='${B}-${NONE:-d}'":  set("c-d"),
		"A=${NONE}x":                set("x"),
		"ENV=file\nA=${ENV}":        set("value"),
		"A=b'c":                     set("b'c"),
		"A={\"a\": \"b\"}":          set(`{"a": "b"}`),
		"A=\"\"":                    set(""),
		"A=''\n":                    set(""),
		"A==b":                      set("=b"),
		"A=b=c":                     set("b=c"),
		"A.B-C=d\nA=b":              set("b"),
		"A= 'b'  \n":                set("b"),
		"\tA\t=\tb\t":               set("b"),
		"A=\u00e9":                  set("\u00e9"),
		"A=b\rB=c":                  set("b"),
		"A=c\nA=b\nA":               nil,
		"A= # b":                    set(""),
		"A=#b":                      set("#b"),
		"A=b\u00a0# c":              set("b"),
		"my-b=c\nA=${my-b}":         set("c"),
		"B'C=d\nA=${B'C}":           set("d"),
		"A=\"b\r\nc\"":              set("b\nc"),
		"export # x\nA=b":           set("b"),
		"B='x\ny'\nA=b\nC=\"1\n2\"": set("b"),
	} {
		values, problems := manifest.Dotenv([]byte(file), variables(map[string]string{"ENV": "value"}))
		got, ok := values["A"]
		if len(problems) > 0 || ok != (want != nil) || want != nil && got != *want {
			t.Errorf("%q: got %q, %v, %v", file, got, ok, problems)
		}
	}
}

// A statement that cannot be parsed costs the text up to the end of the line where parsing
// stopped, and a warning that does not repeat it. python-dotenv was run on these files, too.
func TestDotenv_invalidLines(t *testing.T) {
	for file, want := range map[string]struct {
		lines  []int
		values map[string]string
	}{
		"A=b\nsecret is here\nC=d\n":       {[]int{2}, map[string]string{"A": "b", "C": "d"}},
		"A=b\n\n=secret\nC=d":              {[]int{3}, map[string]string{"A": "b", "C": "d"}},
		"- secret=1\nA=b":                  {[]int{1}, map[string]string{"A": "b"}},
		"A=b\nC='secret\n":                 {[]int{2}, map[string]string{"A": "b"}},
		"A=b\nC=\"secret\nD=e":             {[]int{2}, map[string]string{"A": "b", "D": "e"}},
		"C='x\ny' secret=1\nA=b":           {[]int{1}, map[string]string{"A": "b"}},
		"C=\"x\ny\"\nA=b\n'secret'x=1\nE":  {[]int{4}, map[string]string{"A": "b", "C": "x\ny"}},
		"NOTE: ask secret\r\nA=b\rC=d e f": {[]int{1}, map[string]string{"A": "b", "C": "d e f"}},
		"secret 1\nsecret 2\nA=b\nA='b":    {[]int{1, 2, 4}, map[string]string{"A": "b"}},
	} {
		values, problems := manifest.Dotenv([]byte(file), variables(nil))
		if d := cmp.Diff(want.values, values); d != "" {
			t.Errorf("%q (-want +got):\n%s", file, d)
		}
		var lines []int
		for _, p := range problems {
			lines = append(lines, p.Line)
			if !p.Warning || strings.Contains(p.String(), "secret") {
				t.Errorf("%q: %s", file, p)
			}
		}
		if !slices.Equal(lines, want.lines) {
			t.Errorf("%q: problems of lines %v, want %v", file, lines, want.lines)
		}
	}
}

func TestDotenv_notText(t *testing.T) {
	for _, file := range []string{"A=\xff", "A=b\x00"} {
		if _, problems := manifest.Dotenv([]byte(file), variables(nil)); problems.Err() == nil {
			t.Errorf("%q is accepted", file)
		}
	}
}
