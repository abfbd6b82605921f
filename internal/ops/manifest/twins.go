package manifest

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"rtsptunnel/internal/base/jsontree"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

// What IoT Hub takes as desired properties ("Understand and use module twins in IoT
// Hub", format).
const (
	maxTwinDepth = 10
	maxTwinSize  = 32 << 10 // bytes, about: the hub counts without quotes and braces
	maxTwinText  = 4 << 10  // bytes of one string
	maxTwinName  = 1 << 10  // bytes of one name

	minTwinInteger int64 = -4503599627370496
	maxTwinInteger int64 = 4503599627370495
)

// twins judges the desired properties of all modules, and those of our own by their
// schema.
func (c *checker) checkTwins(named []string) {
	for _, name := range named {
		if c.m.content.Get(name) == nil && !c.defined[name] {
			c.warn(c.m.at.below(c.m.at.line, name), "is not there, and was to be judged as rtsptunnel's", "mend the name that was given")
		}
	}
	tunnels := append(c.tunnelModules(), named...)
	for _, section := range c.m.content.Members {
		at := c.m.at.below(section.Value.Line, section.Name)
		system := section.Name == agentName || section.Name == hubName
		switch {
		case !system && !moduleName.MatchString(section.Name):
			c.fault(at, "has a name that is not allowed", modulesShape.naming)
			continue
		case !section.Value.Is(jsontree.Object):
			if !system {
				c.fault(at, "must be an object", "it is "+section.Value.Kind.String())
			}
			continue
		case !system:
			c.checkSection(section.Name, section.Value)
		}
		for _, p := range c.m.parts(section.Name) {
			c.checkFormat(p)
		}
		if slices.Contains(tunnels, section.Name) {
			c.checkTunnel(section.Name)
		}
	}
}

// tunnels are the modules that are rtsptunnel by their image, or by their name if
// nothing is known of their image.
func (c *checker) tunnelModules() []string {
	images := c.m.Images()
	var names []string
	for name, image := range images {
		repository, _, _ := strings.Cut(image, "@")
		base, _, _ := strings.Cut(path.Base(repository), ":")
		if base == tunnelName {
			names = append(names, name)
		}
	}
	if images[tunnelName] == "" {
		names = append(names, tunnelName)
	}
	return names
}

const tunnelName = "rtsptunnel"

// section judges what there is for the twin of one module.
func (c *checker) checkSection(module string, section *jsontree.Value) {
	at := c.m.at.below(section.Line, module)
	for _, m := range section.Members {
		names, isPart := partNames(m.Name)
		switch {
		case !isPart:
			c.fault(at.below(m.Value.Line, m.Name), "is not known here", "there are properties.desired, and in layers its parts, as properties.desired.NAME")
		case len(names) > 0 && !c.layered:
			c.unexpectedMember(at.below(m.Value.Line, m.Name), m.Name)
		case len(names) == 0 && !m.Value.Is(jsontree.Object):
			c.fault(at.below(m.Value.Line, m.Name), "must be an object", "it is "+m.Value.Kind.String())
		}
	}
	c.checkOverlaps(module)
	if !c.layered && !c.defined[module] {
		c.warn(at, "is for a module that this deployment does not define", "mend the name, mind upper and lower case; leave it if a layer defines the module")
	}
}

// format judges what IoT Hub takes in any twin.
func (c *checker) checkFormat(p part) {
	for _, name := range p.names {
		if name == "" {
			c.fault(p.at, "has two dots without a name between them", "mend the name")
			return
		}
		c.checkName(name, p.at)
	}
	if size := len(p.value.Compact()); size > maxTwinSize {
		c.warn(p.at, fmt.Sprintf("is %d bytes of JSON; IoT Hub takes about %d of all desired properties together", size, maxTwinSize), "shorten it")
	}
	if len(p.names) > maxTwinDepth+1 {
		c.tooDeep(p.at)
		return
	}
	c.checkValue(p.value, p.at, len(p.names))
}

func (c *checker) tooDeep(at place) {
	c.fault(at, fmt.Sprintf("is nested more than %d deep, which IoT Hub does not take", maxTwinDepth), "make it flatter")
}

// formatValue judges a value with that many objects and arrays around it, the desired
// properties themselves not counted.
func (c *checker) checkValue(v *jsontree.Value, at place, depth int) {
	switch {
	case (v.Is(jsontree.Array) || v.Is(jsontree.Object)) && depth > maxTwinDepth:
		c.tooDeep(at)
	case v.Is(jsontree.Number) && !isTwinNumber(v.Text):
		c.fault(at, "is a number that IoT Hub does not take", fmt.Sprintf("write an integer from %d to %d, or a fraction below 1e308", minTwinInteger, maxTwinInteger))
	case v.Is(jsontree.String) && len(v.Text) > maxTwinText:
		c.fault(at, fmt.Sprintf("is a string of more than %d bytes, which IoT Hub does not take", maxTwinText), "shorten it, or divide it")
	case v.Is(jsontree.Array):
		for i, item := range v.Items {
			c.checkValue(item, at.below(item.Line, index(i)), depth+1)
		}
	case v.Is(jsontree.Object):
		for _, m := range v.Members {
			below := at.below(m.Value.Line, m.Name)
			if m.Name != "$version" && m.Name != "$metadata" { // the hub's own, in what az exports
				c.checkName(m.Name, below)
			}
			c.checkValue(m.Value, below, depth+1)
		}
	}
}

// isTwinNumber tells of a number of JSON whether it is within IoT Hub's bounds.
func isTwinNumber(text string) bool {
	if strings.ContainsAny(text, ".eE") {
		_, err := strconv.ParseFloat(text, 64) // or it is too large
		return err == nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && minTwinInteger <= n && n <= maxTwinInteger
}

func (c *checker) checkName(name string, at place) {
	if len(name) > maxTwinName {
		c.fault(at, fmt.Sprintf("has a name of more than %d bytes, which IoT Hub does not take", maxTwinName), "shorten it")
	}
	bad := func(r rune) bool { return r == '.' || r == '$' || r == ' ' || unicode.IsControl(r) }
	if strings.ContainsFunc(name, bad) && !strings.Contains(name, "${") {
		c.fault(at, "has a name that IoT Hub does not take in a twin", "use a name without dots, dollars, blanks and control characters")
	}
}

// tunnel judges the twin of one of our modules.
func (c *checker) checkTunnel(module string) {
	doc := c.m.Twin(module)
	_, outcome, err := twin.Check(doc)
	if err != nil {
		c.fault(c.m.at.below(c.m.content.Get(module).Line, module), "is no twin of rtsptunnel: "+err.Error(), "mend it: docs/TWIN.md has all properties")
		return
	}
	for _, f := range outcome.Faults {
		at := c.inTwin(module, f.Path)
		remedy := "mend it: docs/TWIN.md has all properties"
		text := f.Text
		if other := c.sameLocalPort(module, f); other != "" {
			text += ", at " + other
			remedy = "give one of the two cameras a localPort of its own"
		}
		c.fault(at, text, remedy)
	}
	for _, w := range outcome.Warnings {
		c.warn(c.inTwin(module, w.Path), w.Text, "docs/TWIN.md has all properties")
	}
	for _, name := range outcome.UnknownKeys {
		c.warn(c.inTwin(module, name), "is not known to rtsptunnel", "check its spelling")
	}
	for _, name := range outcome.NotYet {
		c.warn(c.inTwin(module, name), "has no effect in this version", "leave it out")
	}
}

// inTwin is the place of what package twin calls cameras/front/port.
func (c *checker) inTwin(module, name string) place {
	names := strings.Split(name, "/")
	for _, p := range c.m.parts(module) {
		if len(p.names) > len(names) || !slices.Equal(p.names, names[:len(p.names)]) {
			continue
		}
		at, v := p.at, p.value
		for _, below := range names[len(p.names):] {
			if v = v.Get(below); v != nil {
				at.line = v.Line
			}
			at = at.below(at.line, below)
		}
		return at
	}
	return c.m.at.below(c.m.content.Get(module).Line, append([]string{module, desiredName}, names...)...)
}

// sameLocalPort is the path of the camera whose local port the faulty one has, too;
// empty if the fault is another one.
func (c *checker) sameLocalPort(module string, f twin.Fault) string {
	names := strings.Split(f.Path, "/")
	if f.Code != reason.ConfigDuplicate || len(names) != 3 {
		return ""
	}
	port := c.localPort(module, names[1])
	inForce, _, err := twin.Check(c.m.Twin(module))
	if err != nil {
		return ""
	}
	for _, camera := range inForce.Cameras {
		if camera.LocalPort == port && camera.Name != names[1] {
			return join(c.inTwin(module, "cameras/"+camera.Name+"/localPort").path)
		}
	}
	return ""
}

// localPort is a camera's local port if it were the only one.
func (c *checker) localPort(module, camera string) int {
	desired := c.m.desired(module)
	alone := map[string]any{"cameras": map[string]any{camera: desired.At("cameras", camera)}}
	doc, err := json.Marshal(alone)
	if err != nil {
		return 0
	}
	inForce, _, err := twin.Check(doc)
	if err != nil || len(inForce.Cameras) != 1 {
		return 0
	}
	return inForce.Cameras[0].LocalPort
}
