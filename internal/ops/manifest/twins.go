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

// IoT Hub's limits for desired properties ("Understand and use module twins in IoT Hub",
// format).
const (
	maxTwinDepth = 10
	maxTwinSize  = 32 << 10 // bytes, approximate: the hub does not count quotes and braces
	maxTwinText  = 4 << 10  // bytes of one string
	maxTwinName  = 1 << 10  // bytes of one name

	minTwinInteger int64 = -4503599627370496
	maxTwinInteger int64 = 4503599627370495
)

// checkTwins validates the desired properties of all modules, and those of rtsptunnel
// modules against their schema. named lists further rtsptunnel modules.
func (c *checker) checkTwins(named []string) {
	for _, name := range named {
		if c.m.content.Get(name) == nil && !c.defined[name] {
			c.warn(c.m.at.below(c.m.at.line, name), "is not in the manifest, but was named as an rtsptunnel module", "fix the name in the arguments")
		}
	}
	tunnels := append(c.tunnelModules(), named...)
	for _, section := range c.m.content.Members {
		at := c.m.at.below(section.Value.Line, section.Name)
		system := isRuntime(section.Name)
		switch {
		case !system && !modulesShape.names.MatchString(section.Name):
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

// tunnelModules returns the rtsptunnel modules: those with an image of that name, and the
// module of that name if its image is unknown, as in layers.
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

const (
	tunnelName = "rtsptunnel"
	wholeTwin  = "desired" // the path of package twin for all desired properties
	twinRemedy = "fix it: docs/TWIN.md has all properties"
)

// checkSection validates the members of one module's section, apart from their values.
func (c *checker) checkSection(module string, section *jsontree.Value) {
	at := c.m.at.below(section.Line, module)
	for _, m := range section.Members {
		names, isPart := partNames(m.Name)
		switch {
		case !isPart:
			c.fault(at.below(m.Value.Line, m.Name), "is not known here", "use properties.desired, or in layers a part of it, such as properties.desired.NAME")
		case len(names) > 0 && !c.layered:
			c.unexpectedMember(at.below(m.Value.Line, m.Name), m.Name)
		case len(names) == 0 && !m.Value.Is(jsontree.Object):
			c.fault(at.below(m.Value.Line, m.Name), "must be an object", "it is "+m.Value.Kind.String())
		}
	}
	c.checkOverlaps(module)
	if !c.layered && !c.defined[module] {
		c.warn(at, "is for a module that this deployment does not define", "fix the name, which is case-sensitive; ignore this if a layer defines the module")
	}
}

// checkFormat checks IoT Hub's limits, which apply to any twin.
func (c *checker) checkFormat(p part) {
	for _, name := range p.names {
		if name == "" {
			c.fault(p.at, "has two dots without a name between them", "fix the name")
			return
		}
		c.checkName(name, p.at)
	}
	if size := len(p.value.Compact()); size > maxTwinSize {
		c.warn(p.at, fmt.Sprintf("is %d bytes of JSON; IoT Hub accepts about %d for all desired properties together", size, maxTwinSize), "shorten it")
	}
	if len(p.names) > maxTwinDepth+1 {
		c.tooDeep(p.at)
		return
	}
	c.checkValue(p.value, p.at, len(p.names))
}

func (c *checker) tooDeep(at place) {
	c.fault(at, fmt.Sprintf("is nested more than %d levels deep, which IoT Hub does not accept", maxTwinDepth), "flatten it")
}

// checkValue checks a value and its descendants. depth is the number of objects and arrays
// around it, without the desired properties themselves.
func (c *checker) checkValue(v *jsontree.Value, at place, depth int) {
	switch {
	case (v.Is(jsontree.Array) || v.Is(jsontree.Object)) && depth > maxTwinDepth:
		c.tooDeep(at)
	case v.Is(jsontree.Number) && !isTwinNumber(v.Text):
		c.fault(at, "is a number that IoT Hub does not accept", fmt.Sprintf("write an integer from %d to %d, or a fraction below 1e308", minTwinInteger, maxTwinInteger))
	case v.Is(jsontree.String) && len(v.Text) > maxTwinText:
		c.fault(at, fmt.Sprintf("is a string of more than %d bytes, which IoT Hub does not accept", maxTwinText), "shorten it, or split it")
	case v.Is(jsontree.Array):
		for i, item := range v.Items {
			c.checkValue(item, at.below(item.Line, index(i)), depth+1)
		}
	case v.Is(jsontree.Object):
		for _, m := range v.Members {
			below := at.below(m.Value.Line, m.Name)
			if m.Name != "$version" && m.Name != "$metadata" { // the hub's own members, which az exports
				c.checkName(m.Name, below)
			}
			c.checkValue(m.Value, below, depth+1)
		}
	}
}

// isTwinNumber reports whether a JSON number is within IoT Hub's bounds.
func isTwinNumber(text string) bool {
	if strings.ContainsAny(text, ".eE") {
		_, err := strconv.ParseFloat(text, 64)
		return err == nil // an error means that the number is too large
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && minTwinInteger <= n && n <= maxTwinInteger
}

func (c *checker) checkName(name string, at place) {
	if len(name) > maxTwinName {
		c.fault(at, fmt.Sprintf("has a name of more than %d bytes, which IoT Hub does not accept", maxTwinName), "shorten it")
	}
	// The documents do not have #, but IoT Hub refuses it (MicrosoftDocs/azure-docs, issue
	// 37648: ArgumentInvalid, errorCode 400004).
	bad := func(r rune) bool { return strings.ContainsRune(".$# ", r) || unicode.IsControl(r) }
	if strings.ContainsFunc(name, bad) && !strings.Contains(name, "${") {
		c.fault(at, "has a name that IoT Hub does not accept in a twin", "use a name without . $ #, spaces and control characters")
	}
}

// checkTunnel validates the twin of one rtsptunnel module, as the module itself does.
func (c *checker) checkTunnel(module string) {
	inForce, outcome, err := twin.Check(c.m.Twin(module))
	if err != nil {
		c.fault(c.m.at.below(c.m.content.Get(module).Line, module), "is not a twin of rtsptunnel: "+err.Error(), twinRemedy)
		return
	}
	owners := make(map[int]string, len(inForce.Cameras))
	for _, camera := range inForce.Cameras {
		owners[camera.LocalPort] = camera.Name
	}
	cameras := c.m.desired(module).Get(camerasName)
	for _, f := range outcome.Faults {
		at := c.inTwin(module, f.Path)
		if f.Path == wholeTwin {
			at = c.m.at.below(c.m.content.Get(module).Line, module, desiredName)
		}
		text, remedy := f.Text, twinRemedy
		if other := sameLocalPort(f, cameras, owners); other != "" {
			text += ", at " + join(c.inTwin(module, "cameras/"+other+"/localPort").path)
			remedy = "give one of the two cameras another localPort"
		}
		c.fault(at, text, remedy)
	}
	for _, w := range outcome.Warnings {
		c.warn(c.inTwin(module, w.Path), w.Text, twinRemedy)
	}
	for _, name := range outcome.UnknownKeys {
		c.warn(c.inTwin(module, name), "is not known to rtsptunnel", "check its spelling")
	}
	for _, name := range outcome.NotYet {
		c.warn(c.inTwin(module, name), "has no effect in this version", "remove it")
	}
}

// inTwin returns the place in the manifest of a path in package twin's notation, such as
// cameras/front/port.
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

// sameLocalPort returns the camera in force whose local port another camera duplicates;
// owners has the cameras in force by local port. It returns "" if f is another fault.
func sameLocalPort(f twin.Fault, cameras *jsontree.Value, owners map[int]string) string {
	names := strings.Split(f.Path, "/")
	if f.Code != reason.ConfigDuplicate || len(names) != 3 {
		return ""
	}
	owner := owners[localPort(names[1], cameras.Get(names[1]))]
	if owner == names[1] {
		return ""
	}
	return owner
}

// localPort returns the local port that a camera gets if it is the only one, or 0 if the
// camera is invalid.
func localPort(name string, camera *jsontree.Value) int {
	alone := map[string]any{camerasName: map[string]any{name: camera}}
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
