package manifest

import (
	"errors"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// checkOptions validates one module's createOptions as edge agent reads them: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/DockerConfig.cs, GetCreateOptions.
// Blank text and null in any letter case mean that there are none.
func (c *checker) checkOptions(s settings) {
	first, text, ok := c.joinOptions(s)
	if word := strings.TrimSpace(text); !ok || word == "" || strings.EqualFold(word, "null") {
		return
	}
	at := s.place(first)
	options, duplicates, err := jsontree.Parse([]byte(text))
	if err != nil {
		if options, duplicates = c.relaxedOptions(text, at); options == nil {
			return
		}
	}
	if !options.Is(jsontree.Object) {
		c.fault(at, "must be a JSON object in a string: edge agent rejects the whole configuration", "write {} if there are no options")
		return
	}
	for _, d := range duplicates {
		c.fault(at.below(at.line, d.Path...), "is given twice", "remove one of them")
	}
	createBody.validate(&c.report, options, at)
	c.checkDocker(options, at)
}

// relaxedOptions parses text that is not JSON, but that edge agent reads. It returns nil if
// edge agent does not read it either, and then reports what stops edge agent.
func (c *checker) relaxedOptions(text string, at place) (*jsontree.Value, []jsontree.Duplicate) {
	const remedy = "write an object in a template, and expand it with tunnelctl manifest expand"
	options, duplicates, wrong := jsontree.Parse([]byte(relaxedJSON(text)))
	if wrong == nil {
		c.warn(at, "is not strict JSON, and only edge agent reads it", remedy)
		return options, duplicates
	}
	if syntax, ok := errors.AsType[*jsontree.SyntaxError](wrong); ok {
		wrong = syntax.Err
	}
	c.fault(at, "is not valid JSON after its pieces are joined: "+wrong.Error(), remedy)
	return nil, nil
}

// optionAt follows a path of names in any letter case; nil if there is no such option.
func optionAt(v *jsontree.Value, names ...string) *jsontree.Value {
	for _, name := range names {
		var below *jsontree.Value
		for _, m := range v.All() {
			if strings.EqualFold(m.Name, name) {
				below = m.Value
			}
		}
		v = below
	}
	return v
}

// checkDocker reports options that have another effect than they seem to have.
func (c *checker) checkDocker(options *jsontree.Value, at place) {
	below := func(names ...string) place { return at.below(at.line, names...) }
	mode := optionAt(options, "HostConfig", "NetworkMode")
	host := mode.Is(jsontree.String) && mode.Text == "host"
	endpoint := optionAt(options, "NetworkingConfig", "EndpointsConfig").Get("host") != nil
	switch {
	case host && !endpoint:
		c.fault(below("HostConfig", "NetworkMode"), "is host, but NetworkingConfig/EndpointsConfig/host is missing: the runtime then adds its own network, and the container does not start",
			`add "NetworkingConfig":{"EndpointsConfig":{"host":{}}}`)
	case endpoint && !host:
		c.fault(below("NetworkingConfig", "EndpointsConfig", "host"), "is set, but HostConfig/NetworkMode is not host", `add "HostConfig":{"NetworkMode":"host"}`)
	}
	if host && len(optionAt(options, "HostConfig", "PortBindings").All()) > 0 {
		c.warn(below("HostConfig", "PortBindings"), "has no effect on the host network", "remove it: the module's ports are the host's")
	}
	test := optionAt(options, "Healthcheck", "Test")
	if test.Is(jsontree.Array) && len(test.Items) > 0 && test.Items[0].Text == "CMD-SHELL" {
		c.warn(below("Healthcheck", "Test"), "needs a shell in the image", `write ["CMD", "PROGRAM", "ARGUMENT"] if the image has none`)
	}
	// Azure/iotedge issue 6992: edge agent 1.4 made another policy of it, or rejected it.
	if optionAt(options, "HostConfig", "RestartPolicy").Is(jsontree.Object) {
		c.warn(below("HostConfig", "RestartPolicy"), "is not what restarts a module, and edge agent 1.4 rejects some of its names", "remove it, and set the module's restartPolicy")
	}
}
