package manifest

import (
	"regexp"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Options are what Validate is told besides the manifest.
type Options struct {
	// Tunnels are names of modules whose twins are rtsptunnel's. A module whose image
	// is called rtsptunnel is one without being named, and so is one that is called so
	// itself if the manifest does not say its image, as layers.
	Tunnels []string
}

// Validate judges a manifest, full or layered. Nothing that it only warns of keeps a
// device from running.
func Validate(m *Manifest, o Options) Problems {
	c := &checker{report: report{file: m.file}, m: m, layered: m.Layered(), routes: map[string]place{}, defined: map[string]bool{}}
	c.checkDocument()
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

// placeholders tells of every one that is left in a manifest.
func (c *checker) checkPlaceholders(v *jsontree.Value, at place) {
	eachText(v, at, func(text string, at place) {
		if strings.Contains(text, "${") {
			c.fault(at, "has a placeholder in it, which nobody expands any more", "have tunnelctl manifest expand make the manifest from its template")
		}
	})
}

type checker struct {
	report
	m       *Manifest
	layered bool
	defined map[string]bool  // modules
	routes  map[string]place // by their words
}

// exportedMembers are the members that a deployment has exportedMembers its content where az prints it.
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
				c.warn(place{m.Value.Line, []string{contentName, m.Name}}, "is not for modules", "leave it out: only modulesContent is read")
			}
		}
	}
	for _, m := range c.m.root.Members {
		if !slices.Contains(known, m.Name) {
			c.warn(place{m.Value.Line, []string{m.Name}}, "is not known here", "leave it out: known is "+strings.Join(known, ", "))
		}
	}
}

// agent judges what there is for the edge agent, and learns which modules there are.
func (c *checker) checkAgent() {
	c.collectModules()
	section := c.m.content.Get(agentName)
	switch {
	case section == nil && c.layered:
		c.fault(c.m.at.below(c.m.at.line, agentName), "is missing", `add "$edgeAgent": {} to a layer that has no modules; a full deployment needs all of it`)
	case !c.layered && section.At(desiredName, "runtime") == nil && section.At(desiredName, "systemModules") == nil:
		c.fault(c.m.at.below(section.Line, agentName, desiredName), "has neither runtime nor systemModules, which a full deployment needs, and cannot stand in a layer",
			"for a layer, write names with dots, as properties.desired.modules.NAME; for a full deployment, add both")
	case !c.layered:
		c.checkWhole(agentName, agentShape)
	case section.Is(jsontree.Object):
		c.checkLayer(agentName, c.checkAgentPart)
	default:
		c.fault(c.m.at.below(section.Line, agentName), "must be an object", "it is "+section.Kind.String())
	}
}

// learn notes the modules that are defined here.
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

// agentPart judges a part of the edge agent's properties in a layer.
func (c *checker) checkAgentPart(p part) {
	credentials := len(p.names) > 2 && slices.Equal(p.names[:3], []string{"runtime", "settings", "registryCredentials"})
	switch {
	case p.names[0] == "systemModules":
		c.fault(p.at, "is the runtime's own module, which a layer cannot have", "change it in the full deployment below the layers")
	case p.names[0] == "modules" && len(p.names) == 1:
		c.fault(p.at, "would be all modules", "write properties.desired.modules.NAME for each")
	case p.names[0] == "modules":
		if len(p.names) > 2 {
			c.warn(p.at, "is a part of a module, and the documents have modules in layers as a whole alone", "repeat the whole module under properties.desired.modules."+printable(p.names[1]))
		}
	case !credentials:
		c.warn(p.at, "is not among what the documents have in layers", "put it into the full deployment below the layers")
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

func (c *checker) checkHubPart(p part) {
	switch {
	case p.names[0] != "routes":
		c.warn(p.at, "is not among what the documents have in layers", "put it into the full deployment below the layers")
	case len(p.names) == 1:
		c.fault(p.at, "would be all routes", "write properties.desired.routes.NAME for each")
	}
}

// whole judges a section that has to have all its desired properties.
func (c *checker) checkWhole(module string, s *shape) {
	section := c.m.content.Get(module)
	at := c.m.at.below(section.Line, module)
	if section.Get(desiredName) == nil {
		c.fault(at.below(section.Line, desiredName), "is missing", "add it: this deployment is a full one, as its $edgeAgent has it")
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

// beyond tells of a member of a section in a full deployment that is not
// properties.desired.
func (c *checker) unexpectedMember(at place, name string) {
	if _, isPart := partNames(name); isPart {
		c.fault(at, "is a part of desired properties in a full deployment, which makes it a layer to az iot edge deployment create", "put it into properties.desired")
		return
	}
	c.fault(at, "is not known here", "there is properties.desired alone")
}

// layer judges a section of the runtime in a layer.
func (c *checker) checkLayer(module string, more func(part)) {
	section := c.m.content.Get(module)
	for _, m := range section.Members {
		if names, ok := partNames(m.Name); !ok || len(names) == 0 {
			c.fault(c.m.at.below(m.Value.Line, module, m.Name), "cannot stand in a layer", "there, write names with dots, as properties.desired.modules.NAME or properties.desired.routes.NAME")
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

// allowed checks the names that stand between dots.
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

// overlaps tells of parts in one section of which one is in the other: which of them
// holds is not written anywhere.
func (c *checker) checkOverlaps(module string) {
	parts := c.m.parts(module)
	system := module == agentName || module == hubName
	for _, inner := range parts {
		for _, outer := range parts {
			if system && len(outer.names) == 0 {
				continue // that cannot stand there at all
			}
			if len(outer.names) < len(inner.names) && slices.Equal(outer.names, inner.names[:len(outer.names)]) {
				c.fault(inner.at, "is inside of "+printable(outer.key)+", which this section has, too", "put it in there")
			}
		}
	}
}

var moduleName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
