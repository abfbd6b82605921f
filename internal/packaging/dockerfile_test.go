package packaging_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rtsptunnel/internal/module/config"
)

const top = "../.." // of the repository

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// platforms maps each platform's name to docker's name and to the line that sets it for Go.
var platforms = map[string][2]string{
	"amd64":   {"linux/amd64", "ENV GOARCH=amd64"},
	"arm64v8": {"linux/arm64", "ENV GOARCH=arm64"},
	"arm32v7": {"linux/arm/v7", "ENV GOARCH=arm GOARM=7"},
}

func TestDockerfiles_followTheRules(t *testing.T) {
	for platform := range platforms {
		for _, v := range violations(t, read(t, "Dockerfile."+platform)) {
			t.Errorf("Dockerfile.%s: %s", platform, v)
		}
	}
}

// The Dockerfiles have the same text, except in the two places that name the platform.
func TestDockerfiles_differInPlatformOnly(t *testing.T) {
	want := withoutPlatform(t, "amd64")
	for platform := range platforms {
		if got := withoutPlatform(t, platform); got != want {
			t.Errorf("Dockerfile.%s differs from Dockerfile.amd64:\n%s", platform, firstDifference(want, got))
		}
	}
	files, err := filepath.Glob(filepath.Join(top, "Dockerfile*"))
	if err != nil || len(files) != len(platforms) {
		t.Errorf("there are %q, %v, and the platforms %v", files, err, platforms)
	}
}

// withoutPlatform returns a Dockerfile with a placeholder for its platform.
func withoutPlatform(t *testing.T, platform string) string {
	t.Helper()
	text := read(t, "Dockerfile."+platform)
	names := platforms[platform]
	for _, where := range []string{
		"\n" + names[1] + "\n",
		fmt.Sprintf("docker build --platform %s -f Dockerfile.%s -t rtsptunnel .", names[0], platform),
	} {
		if strings.Count(text, where) != 1 {
			t.Errorf("Dockerfile.%s has %q %d times", platform, where, strings.Count(text, where))
		}
		text = strings.Replace(text, where, "PLATFORM", 1)
	}
	return text
}

func firstDifference(a, b string) string {
	lines := strings.Split(b, "\n")
	for n, line := range strings.Split(a, "\n") {
		if n >= len(lines) || lines[n] != line {
			return fmt.Sprintf("line %d\n- %s\n+ %s", n+1, line, strings.Join(lines[min(n, len(lines)):min(n+1, len(lines))], ""))
		}
	}
	return "one is longer"
}

// Each rule reports a Dockerfile that breaks it.
func TestDockerfiles_eachRuleIsEnforced(t *testing.T) {
	text := read(t, "Dockerfile.amd64")
	if got := violations(t, text); len(got) > 0 {
		t.Fatal(got)
	}
	for _, c := range []struct{ old, broken, want string }{
		{"# The module's image.", "# syntax=docker/dockerfile:1", "directive"},
		{"${BUILDPLATFORM:-linux/amd64}", "$BUILDPLATFORM", "FROM --platform"},
		{"FROM scratch", "FROM --platform=linux/amd64 scratch", "FROM --platform"},
		{"FROM scratch", "FROM alpine", "scratch"},
		{"golang:${GO_VERSION}", "golang:1.26", "GO_VERSION"},
		{"ARG GO_VERSION=1.26", "ARG GO_VERSION=1.25", "go.mod"},
		{"RUN go mod", "RUN --mount=type=cache,target=/go/pkg/mod go mod", "RUN --mount"},
		{"COPY --from=build", "COPY --chmod=755 --from=build", "COPY --chmod"},
		{"COPY . .", "ADD . .", "ADD"},
		{"COPY . .", "COPY . .\nRUN git describe", "git"},
		{"RUN go mod download", "RUN go mod download && apt-get install -y upx", "apt-get"},
		{"RUN go mod download", "RUN go mod download; [[ -d /src ]]", "[["},
		{"RUN go mod download", `RUN ["go", "mod", "download"]`, "shell form"},
		{"RUN go mod download", "RUN <<EOF\ngo mod download\nEOF", "here-document"},
		{"COPY go.mod go.sum ./\n", "", "go.sum"},
		{"COPY go.mod go.sum ./\nRUN go mod download\nCOPY . .", "COPY . .\nCOPY go.mod go.sum ./\nRUN go mod download", "before"},
		{"GOTOOLCHAIN=local ", "", "GOTOOLCHAIN=local"},
		{"CGO_ENABLED=0 ", "", "CGO_ENABLED=0"},
		{" -trimpath", "", "-trimpath"},
		{" -buildvcs=false", "", "-buildvcs=false"},
		{`"-s -w `, `"`, "-s -w"},
		{"buildinfo.Commit=", "buildinfo.Revision=", "no variable Revision"},
		{"COPY . .\nARG VERSION\n", "COPY . .\n", "${VERSION}"},
		{"FROM scratch\nARG VERSION\n", "FROM scratch\n", "${VERSION}"},
		{"ARG VERSION=" + version(t), "ARG VERSION=" + next(t), "the file VERSION has"},
		{"image.revision", "image.commit", "org.opencontainers.image.revision"},
		{"USER 65532:65532", "USER nonroot", "USER"},
		{"USER 65532:65532\n", "", "USER"},
		{"nonroot:x:65532:65532:", "nonroot:x:1000:1000:", "/etc/passwd"},
		{" && chmod 1777 /out/root/tmp \\\n", "", "/tmp"},
		{" && cp /etc/ssl/certs/ca-certificates.crt /out/root/etc/ssl/certs/ \\\n", "", "ca-certificates"},
		{`CMD ["/rtsptunnel", "healthcheck"]`, "CMD /rtsptunnel healthcheck", "HEALTHCHECK"},
		{"--timeout=10s", "--timeout=3s", "HEALTHCHECK"},
		{`ENTRYPOINT ["/rtsptunnel"]`, "ENTRYPOINT /rtsptunnel", "ENTRYPOINT"},
		{"USER 65532:65532", "RUN /rtsptunnel version\nUSER 65532:65532", "in the image's own stage"},
		{"USER 65532:65532", "ENV RTSPTUNNEL_METRIC_LISTEN=off\nUSER 65532:65532", "RTSPTUNNEL_METRIC_LISTEN"},
		{"RUN go mod download", "RUN RTSPTUNNEL_CAFILE=/x go mod download", "RTSPTUNNEL_CAFILE"},
		{"USER 65532:65532", "EXPOSE 9600\nUSER 65532:65532", "EXPOSE"},
	} {
		t.Run(c.want, func(t *testing.T) {
			if !strings.Contains(text, c.old) {
				t.Fatalf("the Dockerfile has no %q", c.old)
			}
			got := violations(t, strings.ReplaceAll(text, c.old, c.broken))
			if !slices.ContainsFunc(got, func(violation string) bool { return strings.Contains(violation, c.want) }) {
				t.Errorf("%q in place of %q is reported as %q", c.broken, c.old, got)
			}
		})
	}
}

// violations returns the rules that a Dockerfile breaks.
func violations(t *testing.T, text string) []string {
	t.Helper()
	d := readDockerfile(t, text)
	var all []string
	complain := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	for _, rule := range []func(*testing.T, dockerfile, func(string, ...any)){
		portable, plainShell, goBuild, arguments, labels, root, identity, healthcheck, environment,
	} {
		rule(t, d, complain)
	}
	if regexp.MustCompile(`(?i)^\s*#\s*(syntax|escape|check)\s*=`).MatchString(text) {
		complain("a parser directive; BuildKit fetches the image that syntax= names")
	}
	return all
}

// portable: only instructions and flags that classic docker build, BuildKit without a
// network and buildah 1.28 handle alike.
func portable(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	for _, s := range d.stages {
		for _, f := range s.from.flags {
			if f != "--platform=${BUILDPLATFORM:-linux/amd64}" || strings.HasPrefix(s.from.rest, "scratch") {
				complain("%s: builders handle FROM %s differently", s.from, f)
			}
		}
	}
	allowed := map[string]string{"COPY": "--from=", "HEALTHCHECK": "--"}
	known := []string{"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "HEALTHCHECK", "ENTRYPOINT"}
	for _, i := range d.every() {
		if !slices.Contains(known, i.word) {
			complain("%s: %s is not needed here", i, i.word)
		}
		if strings.Contains(i.rest, "<<") {
			complain("%s: a here-document", i)
		}
		for _, f := range i.flags {
			if prefix := allowed[i.word]; i.word != "FROM" && (prefix == "" || !strings.HasPrefix(f, prefix)) {
				complain("%s: some builders do not know %s %s", i, i.word, f)
			}
		}
	}
	if d.last().from.rest != "scratch" {
		complain("%s: want FROM scratch for the image", d.last().from)
	}
	for _, i := range d.last().all("RUN") {
		complain("%s: RUN in the image's own stage, which has no shell and may be for another architecture", i)
	}
}

// plainShell: RUN lines need a POSIX shell, Go, and commands that busybox has.
func plainShell(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	known := []string{"go", "mkdir", "chmod", "cp", "echo"}
	separator := regexp.MustCompile(`&&|\|\||[;|&\n]`)
	quoted := regexp.MustCompile(`"[^"]*"|'[^']*'`)
	for _, i := range d.every() {
		if i.word != "RUN" {
			continue
		}
		if strings.HasPrefix(i.rest, "[") {
			complain("%s: want RUN in shell form", i)
			continue
		}
		for _, command := range separator.Split(quoted.ReplaceAllString(i.rest, "''"), -1) {
			words := strings.Fields(command)
			if len(words) == 0 || !slices.Contains(known, words[0]) {
				complain("%s: the command is not one of %q: %q", i, known, command)
			}
		}
	}
}

// goBuild: one static, reproducible binary, built by the toolchain of go.mod.
func goBuild(t *testing.T, d dockerfile, complain func(string, ...any)) {
	t.Helper()
	build := d.stages[0]
	if build.from.rest != "golang:${GO_VERSION} AS build" {
		complain("%s: want golang:${GO_VERSION} AS build", build.from)
	}
	modules, sources, compiles := -1, -1, ""
	var environment string
	for n, i := range build.instructions {
		switch {
		case i.word == "ENV":
			environment += " " + i.rest
		case i.word == "COPY" && i.rest == "go.mod go.sum ./":
			modules = n
		case i.word == "COPY":
			sources = n
		case i.word == "RUN" && strings.HasPrefix(i.rest, "go build"):
			compiles = i.rest
		}
	}
	if modules < 0 || sources < modules {
		complain("go.mod and go.sum must be copied before the sources; otherwise each change fetches all modules again")
	}
	for _, want := range []string{"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOOS=linux"} {
		if !strings.Contains(environment+" ", " "+want+" ") {
			complain("no ENV %s", want)
		}
	}
	for _, want := range []string{" -trimpath ", " -buildvcs=false ", `"-s -w `, " ./cmd/rtsptunnel"} {
		if !strings.Contains(compiles, want) {
			complain("go build lacks %s", want)
		}
	}
	variables := variablesOf(t, "internal/base/buildinfo/buildinfo.go")
	for _, m := range regexp.MustCompile(`-X rtsptunnel/internal/base/buildinfo\.(\w+)=`).FindAllStringSubmatch(compiles, -1) {
		if !slices.Contains(variables, m[1]) {
			complain("package buildinfo has no variable %s for -X", m[1])
		}
	}
}

// variablesOf returns the package variables of a Go file, which the linker can set.
func variablesOf(t *testing.T, path string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, path), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.VAR {
			continue
		}
		for _, s := range group.Specs {
			for _, name := range s.(*ast.ValueSpec).Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

var reference = regexp.MustCompile(`\$\{?(\w+)`)

// arguments: a stage declares each argument that it uses, because an undeclared one is
// silently empty. The defaults are those of go.mod and VERSION.
func arguments(t *testing.T, d dockerfile, complain func(string, ...any)) {
	t.Helper()
	defaults := map[string]string{}
	for _, i := range d.global.all("ARG") {
		name, value, _ := strings.Cut(i.rest, "=")
		defaults[name] = value
	}
	for _, s := range d.stages {
		for _, m := range reference.FindAllStringSubmatch(s.from.rest, -1) {
			if _, ok := defaults[m[1]]; !ok {
				complain("%s: ${%s} is not declared before the first FROM", s.from, m[1])
			}
		}
		declared := map[string]bool{}
		for _, i := range s.instructions {
			for _, m := range reference.FindAllStringSubmatch(i.rest, -1) {
				if !declared[m[1]] {
					complain("%s: ${%s} is not declared in this stage", i, m[1])
				}
			}
			if name, _, _ := strings.Cut(i.rest, "="); i.word == "ARG" {
				declared[name] = true
			}
		}
	}
	if want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod")); want[1] != defaults["GO_VERSION"] {
		complain("GO_VERSION is %s, and go.mod has %s", defaults["GO_VERSION"], want[1])
	}
	if want := version(t); want != defaults["VERSION"] {
		complain("VERSION is %s, and the file VERSION has %s", defaults["VERSION"], want)
	}
}

// labels: these five. There is no licence and no address of the sources to name.
func labels(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	var text string
	for _, i := range d.last().all("LABEL") {
		text += " " + i.rest
	}
	const prefix = "org.opencontainers.image."
	for _, want := range []string{
		`title="rtsptunnel"`, `description="`, `version="${VERSION}"`, `revision="${COMMIT}"`, `created="${BUILD_DATE}"`,
	} {
		if strings.Count(text, " "+prefix+want) != 1 {
			complain("no label %s%s", prefix, want)
		}
	}
	if n := strings.Count(text, prefix); n != 5 {
		complain("%d labels, want 5", n)
	}
}

// root: the files of the image, in one COPY.
func root(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	var made string
	for _, i := range d.stages[0].all("RUN") {
		made += " " + i.rest
	}
	for what, command := range map[string]string{
		"/etc/passwd for the user": "'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' >/out/root/etc/passwd",
		"/etc/group for its group": "'nonroot:x:65532:' >/out/root/etc/group",
		"a /tmp for all":           "chmod 1777 /out/root/tmp",
		"ca-certificates":          "cp /etc/ssl/certs/ca-certificates.crt /out/root/etc/ssl/certs/",
	} {
		if !strings.Contains(made, command) {
			complain("no %s: no %s", what, command)
		}
	}
	copies := d.last().all("COPY")
	if len(copies) != 1 || copies[0].rest != "/out/root/ /" || !slices.Equal(copies[0].flags, []string{"--from=build"}) {
		complain("the image is one COPY --from=build /out/root/ /, not %v", copies)
	}
}

// identity: a numeric user, so that a runtime can verify that it is not root, and an
// entry point without a shell.
func identity(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	if users := d.last().all("USER"); len(users) != 1 || users[0].rest != "65532:65532" {
		complain("USER is %v, want 65532:65532", users)
	}
	if entries := d.last().all("ENTRYPOINT"); len(entries) != 1 || entries[0].rest != `["/rtsptunnel"]` {
		complain(`ENTRYPOINT is %v, want ["/rtsptunnel"]`, entries)
	}
}

// healthcheck: in exec form, because the image has no shell. The command has its own
// timeout of 5 s.
func healthcheck(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	checks := d.last().all("HEALTHCHECK")
	if len(checks) != 1 || checks[0].rest != `CMD ["/rtsptunnel", "healthcheck"]` || !slices.Contains(checks[0].flags, "--timeout=10s") {
		complain(`HEALTHCHECK is %v, want one with --timeout=10s CMD ["/rtsptunnel", "healthcheck"]`, checks)
	}
}

// environment: the module reads each variable that is set.
func environment(_ *testing.T, d dockerfile, complain func(string, ...any)) {
	var named []string
	for _, i := range d.last().all("ENV") {
		for _, m := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(i.rest, -1) {
			named = append(named, m[1])
		}
	}
	for _, i := range d.every() {
		named = append(named, regexp.MustCompile(`\b(RTSPTUNNEL|IOTEDGE)_\w+`).FindAllString(i.rest, -1)...)
	}
	for _, name := range named {
		if !slices.ContainsFunc(config.Variables, func(v config.Variable) bool { return v.Name == name }) {
			complain("package config has no variable %s", name)
		}
	}
}

// .dockerignore is an allow-list, so that other files of the folder reach no image and no
// builder's cache.
func TestDockerignore(t *testing.T) {
	var patterns []string
	for line := range strings.Lines(read(t, ".dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	if patterns[0] != "*" {
		t.Errorf("begins with %q, want *", patterns[0])
	}
	for _, p := range patterns[1:] {
		if name, back := strings.CutPrefix(p, "!"); back && !slices.Contains([]string{"go.mod", "go.sum", "cmd", "internal", "modules"}, name) {
			t.Errorf("%s is sent to the builder, which does not need it", name)
		}
	}
	for _, secret := range []string{"**/.env", "**/*.pem"} {
		if !slices.Contains(patterns, secret) {
			t.Errorf("%s in a folder of sources is sent to the builder", secret)
		}
	}
}
