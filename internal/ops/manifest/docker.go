package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// dockerOptions lists the members of Docker's request to create a container, and the
// runtime's additions.
var dockerOptions = []string{
	"Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty", "OpenStdin",
	"StdinOnce", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint",
	"NetworkDisabled", "MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell", "HostConfig",
	"NetworkingConfig", "k8s-experimental",
}

var pieceForm = regexp.MustCompile(`^(?i:createOptions)(\d*)$`)

// checkOptions validates one module's createOptions.
func (c *checker) checkOptions(s settings) {
	if !c.checkPieces(s) {
		return
	}
	at, text := s.place(createOptions), joinOptions(s)
	switch {
	case strings.TrimSpace(text) == "":
		return
	case len(text) > maxOptions:
		c.fault(at, fmt.Sprintf("is %d characters long; at most %d fit into a manifest", len(text), maxOptions), "shorten it, or move settings into the image or the module's env")
		return
	case notASCII(text) >= 0:
		c.warn(at, "has characters that are not ASCII", "remove them: the tools and the hub count them differently")
	}
	options, duplicates, err := jsontree.Parse([]byte(text))
	if err != nil {
		if syntax, ok := errors.AsType[*jsontree.SyntaxError](err); ok {
			err = syntax.Err
		}
		c.fault(at, "is not valid JSON after its pieces are joined: "+err.Error(), "write an object in a template, and expand it with tunnelctl manifest expand")
		return
	}
	if !options.Is(jsontree.Object) {
		c.fault(at, "must be a JSON object in a string", "write {} if there are no options")
		return
	}
	for _, d := range duplicates {
		c.fault(at.below(at.line, d.Path...), "is given twice", "remove one of them")
	}
	c.checkDocker(options, at)
}

// checkPieces checks that the pieces have no gap, and that tools accept their names and
// sizes. It reports false if the pieces cannot be joined.
func (c *checker) checkPieces(s settings) bool {
	last, ok := -1, true
	for i := range maxPieces {
		v := s.get(pieceName(i))
		switch {
		case v == nil:
			continue
		case !v.Is(jsontree.String):
			return false // settingsShape reports it
		case i != last+1:
			c.fault(s.place(pieceName(i)), "has no piece before it", "add "+pieceName(i-1)+", or rename this piece to it")
			ok = false
		case len(v.Text) > pieceSize:
			c.warn(s.place(pieceName(i)), fmt.Sprintf("is longer than %d characters, the limit of Microsoft's tools", pieceSize), "split it, or expand its template with tunnelctl manifest expand")
		}
		last = i
	}
	for _, m := range s.object.All() {
		name, below := strings.CutPrefix(m.Name, s.prefix)
		if piece := pieceForm.FindStringSubmatch(name); below && piece != nil && !slices.Contains(pieceNames(), name) {
			c.fault(s.place(name), "is not a piece of createOptions that the runtime reads", fmt.Sprintf("use %s, %s and so on up to %s", pieceName(0), pieceName(1), pieceName(maxPieces-1)))
			ok = false
		}
	}
	return ok
}

func pieceNames() []string {
	names := make([]string, maxPieces)
	for i := range names {
		names[i] = pieceName(i)
	}
	return names
}

// checkDocker reports options that have another effect than they seem to have.
func (c *checker) checkDocker(options *jsontree.Value, at place) {
	below := func(names ...string) place { return at.below(at.line, names...) }
	for _, m := range options.Members {
		if !slices.Contains(dockerOptions, m.Name) {
			c.warn(below(m.Name), "is not a Docker option for creating a container", "check its spelling, and whether it belongs in HostConfig")
		}
	}
	mode := options.At("HostConfig", "NetworkMode")
	host := mode.Is(jsontree.String) && mode.Text == "host"
	endpoint := options.At("NetworkingConfig", "EndpointsConfig", "host") != nil
	switch {
	case host && !endpoint:
		c.fault(below("HostConfig", "NetworkMode"), "is host, but NetworkingConfig/EndpointsConfig/host is missing: the runtime then adds its own network, and the container does not start",
			`add "NetworkingConfig":{"EndpointsConfig":{"host":{}}}`)
	case endpoint && !host:
		c.fault(below("NetworkingConfig", "EndpointsConfig", "host"), "is set, but HostConfig/NetworkMode is not host", `add "HostConfig":{"NetworkMode":"host"}`)
	}
	if host && len(options.At("HostConfig", "PortBindings").All()) > 0 {
		c.warn(below("HostConfig", "PortBindings"), "has no effect on the host network", "remove it: the module's ports are the host's")
	}
	test := options.At("Healthcheck", "Test")
	if test.Is(jsontree.String) || test.Is(jsontree.Array) && len(test.Items) > 0 && test.Items[0].Text == "CMD-SHELL" {
		c.warn(below("Healthcheck", "Test"), "needs a shell in the image", `write ["CMD", "PROGRAM", "ARGUMENT"] if the image has none`)
	}
}
