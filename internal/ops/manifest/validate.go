package manifest

import (
	"fmt"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Options are the options of Validate.
type Options struct {
	// Tunnels names further rtsptunnel modules, whose twins are validated against the
	// module's schema. Validate itself finds modules whose image is called rtsptunnel. It
	// also takes a module called rtsptunnel for one if the manifest has no image for it,
	// as in layers.
	Tunnels []string
	// Complete means that no layer adds to the manifest. A route to a module that the
	// manifest lacks is then an error instead of a warning. A layer is not complete.
	Complete bool
}

// Validate checks a full or layered manifest. A device can run a manifest that has only
// warnings.
func Validate(m *Manifest, o Options) Problems {
	c := &checker{
		report: report{file: m.file}, m: m, layered: m.Layered(), complete: o.Complete, hub: m.hubVersion(),
		routes: map[string]place{}, defined: map[string]bool{},
	}
	c.checkDocument()
	if c.complete && c.layered {
		c.fault(c.m.at.below(c.m.at.line, agentName), "has no properties.desired, so that this is a layer and not complete", "merge it into its base by tunnelctl manifest merge, which checks the result")
	}
	c.checkAgent()
	c.checkHub()
	for _, s := range m.settings() {
		c.checkOptions(s)
	}
	c.checkRuntime()
	c.checkTwins(o.Tunnels)
	c.checkPlaceholders(m.root, place{})
	return c.list
}

// checkPlaceholders reports placeholders that are left in a manifest.
func (c *checker) checkPlaceholders(v *jsontree.Value, at place) {
	eachText(v, at, func(text string, at place) {
		if strings.Contains(text, "${") {
			c.fault(at, "has a placeholder, which is not expanded in a manifest", "expand the template with tunnelctl manifest expand")
		}
	})
}

// checker holds the state of one Validate.
type checker struct {
	report
	m        *Manifest
	layered  bool
	complete bool
	closed   bool             // az refuses unknown members of the section that is being validated
	hub      string           // $edgeHub's schemaVersion, as hubVersion returns it
	defined  map[string]bool  // names of the modules that $edgeAgent defines
	routes   map[string]place // by the route's text with single spaces
}

// exportedMembers lists the members of a deployment as az prints it, with its content.
var exportedMembers = []string{
	"id", "schemaVersion", "labels", contentName, "targetCondition", "createdTimeUtc", "lastUpdatedTimeUtc", "priority",
	"systemMetrics", "metrics", "etag", "contentType", "scope",
}

func (c *checker) checkDocument() {
	known := []string{modulesName}
	if c.m.root.Get(modulesName) == nil {
		known = exportedMembers
		for _, m := range c.m.root.Get(contentName).All() {
			if m.Name != modulesName && !m.Value.Is(jsontree.Null) {
				c.warn(place{m.Value.Line, []string{contentName, m.Name}}, "is not for modules", "remove it: only modulesContent is read")
			}
		}
	}
	for _, m := range c.m.root.Members {
		if !slices.Contains(known, m.Name) {
			c.warn(place{m.Value.Line, []string{m.Name}}, "is not known here", "remove it: known are "+strings.Join(known, ", "))
		}
	}
}

// checkAgent validates $edgeAgent's section and records the modules that it defines.
func (c *checker) checkAgent() {
	c.collectModules()
	c.checkModuleCount()
	section := c.m.content.Get(agentName)
	switch {
	case section == nil && c.layered:
		c.fault(c.m.at.below(c.m.at.line, agentName), "is missing", `add "$edgeAgent": {} to a layer without modules; a full deployment needs a complete one`)
	case !c.layered && section.At(desiredName, "runtime") == nil && section.At(desiredName, "systemModules") == nil:
		c.fault(c.m.at.below(section.Line, agentName, desiredName), "has neither runtime nor systemModules, which a full deployment needs, and is not allowed in a layer",
			"for a layer, use names with dots, such as properties.desired.modules.NAME; for a full deployment, add both")
	case !c.layered:
		v := section.At(desiredName, "schemaVersion")
		c.closed = v.Is(jsontree.String) && v.Text == closedAgent
		c.checkWhole(agentName, agentShape)
		c.closed = false
	case section.Is(jsontree.Object):
		c.checkLayer(agentName, c.checkAgentPart)
	default:
		c.fault(c.m.at.below(section.Line, agentName), "must be an object", "it is "+section.Kind.String())
	}
}

// collectModules records the modules that the manifest defines.
func (c *checker) collectModules() {
	for _, p := range c.m.parts(agentName) {
		switch {
		case len(p.names) == 0:
			for _, m := range p.value.Get("modules").All() {
				c.defined[m.Name] = true
			}
		case len(p.names) > 1 && p.names[0] == "modules":
			c.defined[p.names[1]] = true
		}
	}
}

// closedAgent is the version of $edgeAgent whose schema allows no further members anywhere
// (SchemaStore/schemastore, src/schemas/json/azure-iot-edgeagent-deployment-1.1.json). Az
// chooses a schema by the text of the version, so it has none for 1.1.0, and it compares
// no layer with a schema (Azure/azure-iot-cli-extension, azext_iot/operations/hub.py).
const closedAgent = "1.1"

// maxModules is how many modules a deployment may have (MicrosoftDocs/azure-docs,
// articles/iot-edge/iot-edge-limits-and-restrictions.md). The documents do not say whether
// edgeAgent and edgeHub count.
const maxModules = 50

func (c *checker) checkModuleCount() {
	if n := len(c.defined); n > maxModules {
		section := c.m.content.Get(agentName)
		c.fault(c.m.at.below(section.Line, agentName), fmt.Sprintf("has %d modules; IoT Hub accepts at most %d in a deployment", n, maxModules), "remove some")
	}
}

// checkAgentPart checks whether a layer may have a part of $edgeAgent's properties.
func (c *checker) checkAgentPart(p part) {
	credentials := len(p.names) > 2 && slices.Equal(p.names[:3], []string{"runtime", "settings", "registryCredentials"})
	switch {
	case p.names[0] == "systemModules":
		c.fault(p.at, "is the runtime's own module, which a layer cannot have", "change it in the full deployment below the layers")
	case p.names[0] == "modules" && len(p.names) == 1:
		c.fault(p.at, "would replace all modules", "write properties.desired.modules.NAME for each")
	case p.names[0] == "modules":
		if len(p.names) > 2 {
			c.warn(p.at, "is a part of a module, but the documentation has only whole modules in layers", "repeat the whole module under properties.desired.modules."+printable(p.names[1]))
		}
	case !credentials:
		c.warn(p.at, "is not documented for layers", "put it into the full deployment below the layers")
	}
}

func (c *checker) checkHub() {
	section := c.m.content.Get(hubName)
	switch {
	case section == nil && !c.layered:
		c.fault(c.m.at.below(c.m.at.line, hubName), "is missing", "add it, with schemaVersion and routes")
	case section == nil:
	case !section.Is(jsontree.Object):
		c.fault(c.m.at.below(section.Line, hubName), "must be an object", "it is "+section.Kind.String())
	case c.layered:
		c.checkLayer(hubName, c.checkHubPart)
	default:
		c.checkWhole(hubName, hubShape)
	}
}

// checkHubPart checks whether a layer may have a part of $edgeHub's properties.
func (c *checker) checkHubPart(p part) {
	switch {
	case p.names[0] != "routes":
		c.warn(p.at, "is not documented for layers", "put it into the full deployment below the layers")
	case len(p.names) == 1:
		c.fault(p.at, "would replace all routes", "write properties.desired.routes.NAME for each")
	}
}

// checkWhole validates a runtime section of a full deployment.
func (c *checker) checkWhole(module string, s *shape) {
	section := c.m.content.Get(module)
	at := c.m.at.below(section.Line, module)
	if section.Get(desiredName) == nil {
		c.fault(at.below(section.Line, desiredName), "is missing", "add it: this is a full deployment, because its $edgeAgent has properties.desired")
		return
	}
	for _, m := range section.Members {
		if m.Name != desiredName {
			c.unexpectedMember(at.below(m.Value.Line, m.Name), m.Name)
			continue
		}
		s.validate(c, m.Value, at.below(m.Value.Line, m.Name))
	}
}

// unexpectedMember reports a member other than properties.desired in a section of a full
// deployment.
func (c *checker) unexpectedMember(at place, name string) {
	if _, isPart := partNames(name); isPart {
		c.fault(at, "is a part of desired properties in a full deployment, which az iot edge deployment create therefore takes for a layer", "put it into properties.desired")
		return
	}
	c.fault(at, "is not known here", "only properties.desired is allowed")
}

// checkLayer validates a runtime section of a layer. more checks whether a layer may have
// a part at all.
func (c *checker) checkLayer(module string, more func(part)) {
	section := c.m.content.Get(module)
	for _, m := range section.Members {
		if names, ok := partNames(m.Name); !ok || len(names) == 0 {
			c.fault(c.m.at.below(m.Value.Line, module, m.Name), "is not allowed in a layer", "use names with dots there, such as properties.desired.modules.NAME or properties.desired.routes.NAME")
		}
	}
	whole := agentShape
	if module == hubName {
		whole = hubShape
	}
	for _, p := range c.m.parts(module) {
		if len(p.names) == 0 {
			continue
		}
		more(p)
		if !c.checkNames(p, whole) {
			continue
		}
		if s := whole.at(p.names); s != nil {
			s.validate(c, p.value, p.at)
		}
	}
	c.checkOverlaps(module)
}

// checkNames checks the names between the dots of a part. It reports false after a
// problem.
func (c *checker) checkNames(p part, s *shape) bool {
	for i, name := range p.names {
		above := s.at(p.names[:i])
		if above == nil || above.each == nil {
			continue
		}
		if _, own := above.field(name); !own && !above.names.MatchString(name) {
			c.fault(p.at, "has a name that is not allowed", above.naming)
			return false
		}
	}
	return true
}

// checkOverlaps reports parts of one section that lie inside of each other, because no
// documentation says which of them wins.
func (c *checker) checkOverlaps(module string) {
	parts := c.m.parts(module)
	for _, inner := range parts {
		for _, outer := range parts {
			if isRuntime(module) && len(outer.names) == 0 {
				continue // reported already: layers must not have it
			}
			if len(outer.names) < len(inner.names) && slices.Equal(outer.names, inner.names[:len(outer.names)]) {
				c.fault(inner.at, "is inside of "+printable(outer.key)+", which this section also has", "move it into "+printable(outer.key))
				break // one finding for each part
			}
		}
	}
}
