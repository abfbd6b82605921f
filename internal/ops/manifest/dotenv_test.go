package manifest_test

import (
	"strings"
	"testing"

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
		"B='x\ny'\nA=b\nC=\"1\n2\"": set("b"),
	} {
		values, problems := manifest.Dotenv([]byte(file), variables(map[string]string{"ENV": "value"}))
		got, ok := values["A"]
		if len(problems) > 0 || ok != (want != nil) || want != nil && got != *want {
			t.Errorf("%q: got %q, %v, %v", file, got, ok, problems)
		}
	}
}

// The problem of an invalid line does not repeat its content. The other lines are used.
func TestDotenv_wrong(t *testing.T) {
	for file, line := range map[string]int{
		"A=b\nsecret is here\n":        2,
		"A=b\n\n=secret":               3,
		"A=b\nC='secret\n":             2,
		"A=b\nC=\"secret\nD=e":         2,
		"A=b\nC='secret' more\n":       2,
		"C=\"x\ny\"\nA=b\n'secret'x=1": 4,
	} {
		values, problems := manifest.Dotenv([]byte(file), variables(nil))
		if len(problems) == 0 || problems[0].Line != line || values["A"] != "b" {
			t.Errorf("%q: got %v, %v, want line %d", file, values, problems, line)
		}
		if text := problems.Err().Error(); strings.Contains(text, "secret") {
			t.Errorf("%q: the problem repeats the content: %s", file, text)
		}
	}
	if _, problems := manifest.Dotenv([]byte("A=\xff"), variables(nil)); problems.Err() == nil {
		t.Error("a file that is not UTF-8 is accepted")
	}
}
