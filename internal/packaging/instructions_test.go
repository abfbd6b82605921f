package packaging_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one instruction of a Dockerfile, with its continued lines joined.
type instruction struct {
	line  int
	word  string   // in capitals
	flags []string // --name=value
	rest  string
}

func (i instruction) String() string { return fmt.Sprintf("line %d: %s %s", i.line, i.word, i.rest) }

// stage is a FROM and the instructions that follow it. The instructions before the first
// FROM are a stage without one.
type stage struct {
	from         instruction
	instructions []instruction
}

// all returns the instructions with that word.
func (s stage) all(word string) []instruction {
	var found []instruction
	for _, i := range s.instructions {
		if i.word == word {
			found = append(found, i)
		}
	}
	return found
}

// dockerfile is a parsed Dockerfile. Our files use no escape but the backslash and no
// here-documents, so this small parser is enough. .ci/image-test gives them to a builder.
type dockerfile struct {
	global stage
	stages []stage
}

// last is the stage that becomes the image.
func (d dockerfile) last() stage { return d.stages[len(d.stages)-1] }

// every returns all instructions, FROM among them.
func (d dockerfile) every() []instruction {
	all := slices.Clone(d.global.instructions)
	for _, s := range d.stages {
		all = append(append(all, s.from), s.instructions...)
	}
	return all
}

var flag = regexp.MustCompile(`^(--[a-z-]+(?:=\S*)?)\s+`)

// readDockerfile fails if there is no stage.
func readDockerfile(t *testing.T, text string) dockerfile {
	t.Helper()
	var d dockerfile
	joined, begin := "", 0
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue // between continued lines, too
		}
		if joined == "" {
			begin = n + 1
		}
		joined += strings.TrimSuffix(line, `\`) + " "
		if strings.HasSuffix(line, `\`) {
			continue
		}
		d.add(readInstruction(begin, joined))
		joined = ""
	}
	if joined != "" || len(d.stages) == 0 {
		t.Fatalf("not a Dockerfile; unfinished: %q", joined)
	}
	return d
}

func readInstruction(line int, text string) instruction {
	word, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	i := instruction{line: line, word: strings.ToUpper(word), rest: strings.TrimSpace(rest) + " "}
	for m := flag.FindStringSubmatch(i.rest); m != nil; m = flag.FindStringSubmatch(i.rest) {
		i.flags = append(i.flags, m[1])
		i.rest = strings.TrimPrefix(i.rest, m[0])
	}
	i.rest = strings.TrimSpace(i.rest)
	return i
}

func (d *dockerfile) add(i instruction) {
	switch {
	case i.word == "FROM":
		d.stages = append(d.stages, stage{from: i})
	case len(d.stages) == 0:
		d.global.instructions = append(d.global.instructions, i)
	default:
		s := &d.stages[len(d.stages)-1]
		s.instructions = append(s.instructions, i)
	}
}
