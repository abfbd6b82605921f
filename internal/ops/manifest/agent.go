package manifest

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"rtsptunnel/internal/base/jsontree"
)

// The shapes of $edgeAgent's desired properties. They follow "Properties of the IoT Edge
// agent and IoT Edge hub module twins" and the schema azure-iot-edgeagent-deployment-1.1.
var (
	restartShape = &shape{kinds: textShape.kinds, values: []string{"always", "never", "on-failure", "on-unhealthy"}, check: checkRestart}
	statusShape  = enum("running", "stopped")
	pullShape    = enum("on-create", "never")
	orderShape   = integer(0, math.MaxUint32)
	dockerShape  = enum("docker")

	envShape = mapOf(`^[^+#$\s.]+$`, "an environment variable's name must not contain spaces or any of . $ # +", object(
		field{"value", true, &shape{kinds: []jsontree.Kind{jsontree.String, jsontree.Number, jsontree.Bool}}}))

	moduleShape = object(
		field{"version", false, textShape},
		field{"type", true, dockerShape},
		field{"status", true, statusShape},
		field{"restartPolicy", true, restartShape},
		field{"imagePullPolicy", false, pullShape},
		field{"startupOrder", false, orderShape},
		field{"env", false, envShape},
		field{"settings", true, settingsShape},
	)
	modulesShape = mapOf(`^[A-Za-z0-9_-]+$`, "a module's name may contain only letters, digits, _ and -", moduleShape)

	credentialsShape = mapOf(`^[^.$# ]+$`, "a registry's label must not contain spaces or any of . $ #", object(
		field{"username", true, loginShape},
		field{"password", true, loginShape},
		field{"address", true, &shape{kinds: textShape.kinds, check: checkAddress}}))

	loginShape = &shape{kinds: textShape.kinds, check: checkLogin}

	agentShape = object(
		field{"schemaVersion", true, &shape{kinds: textShape.kinds, check: checkAgentVersion}},
		field{"runtime", true, object(
			field{"type", true, dockerShape},
			field{"settings", true, object(
				field{"minDockerVersion", false, textShape},
				field{"loggingOptions", false, textShape},
				field{"registryCredentials", false, credentialsShape})})},
		field{"systemModules", true, closedObject(
			field{"edgeAgent", true, object(
				field{"type", true, dockerShape},
				field{"settings", true, settingsShape},
				field{"env", false, envShape},
				field{"imagePullPolicy", false, pullShape})},
			field{"edgeHub", true, object(
				field{"type", true, dockerShape},
				field{"status", true, statusShape},
				field{"restartPolicy", true, restartShape},
				field{"settings", true, settingsShape},
				field{"env", false, envShape},
				field{"imagePullPolicy", false, pullShape},
				field{"startupOrder", false, orderShape})})},
		field{"modules", true, modulesShape},
	)

	settingsShape = &shape{
		kinds:  anyObject.kinds,
		fields: []field{{"image", true, &shape{kinds: textShape.kinds, check: checkImage}}, {createOptions, false, pieceShape}},
		alike: func(name string) *shape {
			if pieceForm.MatchString(name) {
				return pieceShape
			}
			return nil
		},
	}
	pieceShape = &shape{kinds: []jsontree.Kind{jsontree.String, jsontree.Object}, check: checkPiece}
)

// checkPiece reports createOptions that are still an object, as templates have them.
func checkPiece(c *checker, v *jsontree.Value, at place) {
	if v.Is(jsontree.Object) {
		c.fault(at, "must be a string in a manifest", "it is an object: in a template, name it createOptions, and expand the template with tunnelctl manifest expand")
	}
}

// blankLogin is a problem of a registry's user name, password or address: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/RegistryCredentials.cs, where
// each of the three must not be blank.
const blankLogin = "is empty or blank: edge agent rejects the whole configuration"

func checkLogin(c *checker, v *jsontree.Value, at place) {
	if strings.TrimSpace(v.Text) == "" {
		c.fault(at, blankLogin, "set the variable that it comes from, or remove the registry if it needs no login")
	}
}

// checkAddress checks a registry's address. Edge agent replaces $upstream:PORT: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/CombinedDockerConfigProvider.cs.
// az refuses white space: Azure/azure-iot-cli-extension,
// azext_iot/assets/azure-iot-edgeagent-deployment-1.0.json.
func checkAddress(c *checker, v *jsontree.Value, at place) {
	switch {
	case strings.TrimSpace(v.Text) == "":
		c.fault(at, blankLogin, "write the registry's host, such as registry.example")
	case strings.ContainsFunc(v.Text, unicode.IsSpace):
		c.fault(at, "contains white space, which az refuses", "write the registry's host, such as registry.example")
	case strings.HasPrefix(v.Text, "$") && !strings.HasPrefix(v.Text, "${") && !parentImage.MatchString(v.Text):
		c.warn(at, "is not replaced by edge agent", "write $upstream:PORT in lower case for the registry of a parent device")
	}
}

// checkRestart warns of restart policies that the schema has, but the documentation of
// the runtime calls unsupported.
func checkRestart(c *checker, v *jsontree.Value, at place) {
	if strings.HasPrefix(v.Text, "on-") {
		c.warn(at, v.Text+" is in the schema, but the runtime's maintainers do not support it", "use always, and let the module exit when it cannot recover")
	}
}

// runtimeImage matches the runtime's own images. Its groups are the major and the minor
// version.
var runtimeImage = regexp.MustCompile(`/azureiotedge-(?:agent|hub):(\d+)\.(\d+)(?:[.-].*)?$`)

// oldestRuntime is the minor version of the oldest release 1.x that Microsoft supported
// when this rule was written.
const oldestRuntime = 5

// checkRuntime warns of images of the runtime that are no longer supported, or that
// differ in their version.
func (c *checker) checkRuntime() {
	versions := make(map[string]string)
	for _, s := range c.m.settings() {
		image := s.get("image")
		if !s.system || !image.Is(jsontree.String) {
			continue
		}
		parts := runtimeImage.FindStringSubmatch(image.Text)
		if parts == nil {
			continue
		}
		if minor, err := strconv.Atoi(parts[2]); parts[1] == "1" && err == nil && minor < oldestRuntime {
			c.warn(s.place("image"), "is a runtime version that is no longer supported", "use 1.6")
		}
		versions[s.module] = parts[1] + "." + parts[2]
		if hub := versions["edgeHub"]; hub != "" && versions["edgeAgent"] != "" && hub != versions["edgeAgent"] {
			c.warn(s.place("image"), "edgeAgent and edgeHub have different versions", "give both the same tag")
		}
	}
}
