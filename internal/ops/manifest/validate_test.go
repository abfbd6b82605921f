package manifest_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var validateMutations = []mutation{
	// $edgeAgent's properties.
	{name: "missing", old: `"restartPolicy": "never",`, path: agentPath + "/modules/probe/restartPolicy", text: "is missing", remedy: "add it"},
	{name: "misspelt", old: `"imagePullPolicy"`, new: `"imagepullPolicy"`, path: filterPath + "/imagepullPolicy", text: "is not known here, and az does not accept it", remedy: "imagePullPolicy"},
	{name: "status", old: `"stopped"`, new: `"Stopped"`, path: agentPath + "/modules/probe/status", text: "must be one of running, stopped", remedy: "case-sensitive"},
	{name: "restartPolicy", old: `"never"`, new: `"unless-stopped"`, path: agentPath + "/modules/probe/restartPolicy", text: "must be one of always, never", remedy: "case"},
	{name: "on-failure", old: `"never"`, new: `"on-failure"`, path: agentPath + "/modules/probe/restartPolicy", text: "do not support", remedy: "always", warning: true},
	{name: "on-unhealthy", old: `"never"`, new: `"on-unhealthy"`, path: agentPath + "/modules/probe/restartPolicy", text: "do not support", remedy: "always", warning: true},
	{name: "imagePullPolicy", old: `"on-create"`, new: `"always"`, path: filterPath + "/imagePullPolicy", text: "must be one of on-create, never", remedy: "case"},
	{name: "a status of edgeAgent", old: `"edgeAgent": {`, new: `"edgeAgent": {"status": "running",`, path: agentPath + "/systemModules/edgeAgent/status", text: "is not known here, and az does not accept it", remedy: "known are type, settings"},
	{name: "another system module", old: `"edgeAgent": {`, new: `"edgeagent": {}, "edgeAgent": {`, path: agentPath + "/systemModules/edgeagent", text: "is not known here, and az does not accept it", remedy: "known are edgeAgent, edgeHub"},
	{name: "startupOrder", old: `"startupOrder": 2`, new: `"startupOrder": 4294967296`, path: filterPath + "/startupOrder", text: "must be an integer from 0 to 4294967295", remedy: "number"},
	{name: "startupOrder as text", old: `"startupOrder": 2`, new: `"startupOrder": "2"`, path: filterPath + "/startupOrder", text: "must be a number", remedy: "it is a string"},
	{name: "a half order", old: `"startupOrder": 2`, new: `"startupOrder": 2.5`, path: filterPath + "/startupOrder", text: "must be an integer", remedy: "number"},
	{name: "type", old: `"version": "1.0",` + "\n" + `            "type": "docker",` + "\n" + `            "status": "stopped"`, new: `"type": "podman", "status": "stopped"`, path: agentPath + "/modules/probe/type", text: `must be "docker"`, remedy: "case"},
	{name: "schemaVersion", old: `"schemaVersion": "1.1"`, new: `"schemaVersion": "1.2"`, path: agentPath + "/schemaVersion", text: "must be 1.0 or 1.1", remedy: "1.1"},
	{name: "an env name", old: `"ON": {`, new: `"O+N": {`, path: filterPath + "/env/O+N", text: "name that is not allowed", remedy: "must not contain"},
	{name: "an env value", old: `{"value": true}`, new: `{"value": [true]}`, path: filterPath + "/env/ON/value", text: "must be a string or a number or a boolean", remedy: "it is an array"},
	{name: "a bare env value", old: `{"value": true}`, new: `"true"`, path: filterPath + "/env/ON", text: "must be an object", remedy: "it is a string"},
	{name: "an empty env", old: `{"value": true}`, new: `{}`, path: filterPath + "/env/ON/value", text: "is missing", remedy: "add it"},
	{name: "a registry without address", old: `"password": "${CONTAINER_REGISTRY_PASSWORD}",`, path: agentPath + "/runtime/settings/registryCredentials/site/password", text: "is missing", remedy: "add it"},

	// Images.
	{name: "latest", old: "${MODULES.filter}", new: "registry.example:5000/a/b:latest", path: filterPath + "/settings/image", text: "has the tag latest", remedy: "use a version", warning: true},
	{name: "no tag", old: "${MODULES.filter}", new: "registry.example:5000/a/b", path: filterPath + "/settings/image", text: "has no tag", remedy: "use a version", warning: true},
	{name: "no image", old: "${MODULES.filter}", new: "", path: filterPath + "/settings/image", text: "is not an image name", remedy: "REGISTRY/REPOSITORY:TAG"},
	{name: "upper case", old: "${MODULES.filter}", new: "registry.example/Filter:1", path: filterPath + "/settings/image", text: "is not an image name", remedy: "lower case"},
	{name: "two runtimes", old: "azureiotedge-hub:${EDGE_RUNTIME_VERSION}", new: "azureiotedge-hub:1.5", path: agentPath + "/systemModules/edgeHub/settings/image", text: "different versions", remedy: "the same tag", warning: true},

	// createOptions.
	{name: "no JSON in createOptions", old: `"createOptions": "{}"`, new: `"createOptions": "{"`, path: agentPath + "/modules/probe/settings/createOptions", text: "is not valid JSON", remedy: "expand"},
	{name: "no object in createOptions", old: `"createOptions": "{}"`, new: `"createOptions": "[]"`, path: agentPath + "/modules/probe/settings/createOptions", text: "must be a JSON object", remedy: "{}"},
	{name: "a duplicate in createOptions", old: `"createOptions": "{}"`, new: `"createOptions": "{\"Env\":[],\"Env\":[]}"`, path: agentPath + "/modules/probe/settings/createOptions/Env", text: "is given twice", remedy: "remove"},
	{name: "unknown option", old: `"HostConfig": {"Memory"`, new: `"HostConfiguration": {"Memory"`, path: filterPath + "/settings/createOptions/HostConfiguration", text: "is not a Docker option", remedy: "spelling", warning: true},
	{name: "host without endpoint", old: `"NetworkingConfig": {"EndpointsConfig": {"host": {}}},`, path: "...modules/rtsptunnel/settings/createOptions/HostConfig/NetworkMode", text: "NetworkingConfig/EndpointsConfig/host is missing", remedy: "add"},
	{name: "endpoint without host", old: `"NetworkMode": "host", `, path: "...modules/rtsptunnel/settings/createOptions/NetworkingConfig/EndpointsConfig/host", text: "NetworkMode is not host", remedy: "add"},
	{name: "ports of the host", old: `"ReadonlyRootfs": true`, new: `"PortBindings": {"80/tcp": [{"HostPort": "80"}]}`, path: "...rtsptunnel/settings/createOptions/HostConfig/PortBindings", text: "has no effect", remedy: "remove it", warning: true},
	{name: "a shell for health", old: `"Labels": {`, new: `"Healthcheck": {"Test": ["CMD-SHELL", "x"]}, "Labels": {`, path: filterPath + "/settings/createOptions/Healthcheck/Test", text: "needs a shell", remedy: "CMD", warning: true},
	{name: "health as text", old: `"Labels": {`, new: `"Healthcheck": {"Test": "x"}, "Labels": {`, path: filterPath + "/settings/createOptions/Healthcheck/Test", text: "must be an array: Docker does not create the container", remedy: "it is a string"},
	{name: "a gap", old: `"createOptions": "{}"`, new: `"createOptions": "{}", "createOptions02": ""`, path: agentPath + "/modules/probe/settings/createOptions02", text: "has no piece before it", remedy: "createOptions01"},

	// Routes.
	{name: "no route", old: "FROM /messages/modules/probe/outputs/* WHERE", new: "/messages/* WHERE", path: hubPath + "/routes/probeToFilter", text: "is not a route: FROM is missing", remedy: "FROM SOURCE [WHERE CONDITION] INTO SINK"},
	{name: "no sink", old: "outputs/out INTO $upstream", new: "outputs/out", path: hubPath + "/routes/filterToHub/route", text: "is not a route", remedy: "INTO"},
	{name: "a wrong sink", old: "INTO $upstream", new: "INTO $Upstreams", path: hubPath + "/routes/filterToHub/route", text: "has an invalid sink", remedy: "BrokeredEndpoint"},
	{name: "a sink without an input", old: "/inputs/in", new: "", path: hubPath + "/routes/probeToFilter", text: "is not a module's input", remedy: "BrokeredEndpoint"},
	{name: "a sink's module", old: "/modules/filter/inputs", new: "/modules/Filter/inputs", path: hubPath + "/routes/probeToFilter", text: "is for module Filter, which this deployment does not have", remedy: "case-sensitive", warning: true},
	{name: "a source's module", old: "FROM /messages/modules/probe", new: "FROM /messages/modules/prob", path: hubPath + "/routes/probeToFilter", text: "is for module prob,", remedy: "ignore this if a layer defines", warning: true},
	{name: "no source", old: "FROM /messages/modules/probe/outputs/*", new: "FROM messages", path: hubPath + "/routes/probeToFilter", text: "has a source that does not begin with /", remedy: "/messages/*"},
	{name: "an unknown source", old: "FROM /messages/modules/probe/outputs/*", new: "FROM /message/*", path: hubPath + "/routes/probeToFilter", text: "is not documented", remedy: "/messages/*", warning: true},
	{name: "the same route", old: `"probeToFilter": "`, new: `"again": "FROM  /messages/modules/filter/outputs/out INTO $upstream", "probeToFilter": "`, path: hubPath + "/routes/filterToHub/route", text: "is the same route as " + hubPath + "/routes/again", remedy: "remove one", warning: true},
	{name: "a route's priority", old: `"priority": 1`, new: `"priority": 10`, path: hubPath + "/routes/filterToHub/priority", text: "from 0 to 9", remedy: "number"},
	{name: "a route of another kind", old: `"filterToHub": {"route": "FROM /messages/modules/filter/outputs/out INTO $upstream", "priority": 1, "timeToLiveSecs": 60}`, new: `"filterToHub": 7`, path: hubPath + "/routes/filterToHub", text: "must be a string or an object", remedy: "it is a number"},
	{name: "a condition", old: "$body.level >= 3", new: "level >= 3", path: hubPath + "/routes/probeToFilter", text: "cannot compile: >= between text and a number", remedy: "as_number(NAME)"},
	{name: "a line break in a route", old: "WHERE $body", new: `WHERE\n$body`, path: hubPath + "/routes/probeToFilter", text: "has a line break, which az does not accept", remedy: "one line", warning: true},
	{name: "the default priority", old: `"priority": 1`, new: `"priority": 2000000000`, path: hubPath + "/routes/filterToHub/priority", text: "which az does not accept", remedy: "remove it", warning: true},
	{name: "a negative priority", old: `"priority": 1`, new: `"priority": -1`, path: hubPath + "/routes/filterToHub/priority", text: "from 0 to 9", remedy: "number"},
	{name: "a route's time", old: `"timeToLiveSecs": 60`, new: `"timeToLiveSecs": 4294967296`, path: hubPath + "/routes/filterToHub/timeToLiveSecs", text: "from 0 to 4294967295", remedy: "number"},
	{name: "a long time", old: `"timeToLiveSecs": 7200`, new: `"timeToLiveSecs": 2147483648`, path: hubPath + "/storeAndForwardConfiguration/timeToLiveSecs", text: "from -2147483648 to 2147483647", remedy: "number"},
	{name: "a store's size", old: `"timeToLiveSecs": 7200`, new: `"timeToLiveSecs": 7200, "storeLimits": {"maxSizeBytes": 1.5}`, path: hubPath + "/storeAndForwardConfiguration/storeLimits/maxSizeBytes", text: "must be an integer", remedy: "number"},
	{name: "no store", old: `,
        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}`, path: hubPath + "/storeAndForwardConfiguration", text: "is missing", remedy: "add it"},
	{name: "a route object in 1.0", old: `"schemaVersion": "1.2"`, new: `"schemaVersion": "1.0"`, path: hubPath + "/routes/filterToHub", text: "is an object, which schemaVersion 1.0", remedy: "1.1"},
	{name: "an unknown version", old: `"schemaVersion": "1.2"`, new: `"schemaVersion": "1.10"`, path: hubPath + "/schemaVersion", text: "must be one of 1.0, 1.1, 1.2, 1.3", remedy: "1.1"},
	{name: "a broker in 1.1", old: `"schemaVersion": "1.2"`, new: `"schemaVersion": "1.1", "mqttBroker": {}`, path: hubPath + "/mqttBroker", text: "has no effect in schemaVersion 1.1", remedy: "1.2", warning: true},
	{name: "integrity in 1.2", old: `"schemaVersion": "1.2"`, new: `"schemaVersion": "1.2", "integrity": {}`, path: hubPath + "/integrity", text: "has no effect in schemaVersion 1.2", remedy: "1.3", warning: true},
	{name: "no time", old: `{"timeToLiveSecs": 7200}`, new: `{}`, path: hubPath + "/storeAndForwardConfiguration/timeToLiveSecs", text: "is missing", remedy: "add it"},
	{name: "the hub's schemaVersion", old: `"schemaVersion": "1.2"`, new: `"schemaVersion": 1.2`, path: hubPath + "/schemaVersion", text: "must be a string", remedy: "it is a number"},

	// Twins.
	{name: "two cameras on one local port", old: `"cameras": {`, new: `"cameras": {"yard": {"host": "192.0.2.12", "port": 8554}, `, path: "modulesContent/rtsptunnel/properties.desired/cameras/yard/localPort", text: "8554 is already the local port of camera front, at modulesContent/rtsptunnel/properties.desired/cameras/front/localPort", remedy: "another localPort"},
	{name: "a camera without a host", old: `"host": "192.0.2.10", `, path: "modulesContent/rtsptunnel/properties.desired/cameras/front/host", text: "is missing", remedy: "docs/TWIN.md"},
	{name: "an unknown key", old: `"localPort": 8554`, new: `"localport": 8554`, path: "modulesContent/rtsptunnel/properties.desired/cameras/front/localport", text: "not known to rtsptunnel", remedy: "spelling", warning: true},
	{name: "a number as text", old: `"localPort": 8554`, new: `"localPort": "8554"`, path: "modulesContent/rtsptunnel/properties.desired/cameras/front/localPort", text: "", remedy: "docs/TWIN.md", warning: true},
	{name: "a twin without a module", old: `    "rtsptunnel": {` + "\n" + `      "properties.desired"`, new: `"rtspTunnel": {"properties.desired"`, path: "modulesContent/rtspTunnel", text: "does not define", remedy: "case-sensitive", warning: true},
	{name: "an unknown member", old: `    "rtsptunnel": {` + "\n" + `      "properties.desired"`, new: `"filter": {"properties": {}}, "rtsptunnel": {"properties.desired"`, path: "modulesContent/filter/properties", text: "is not known here", remedy: "properties.desired"},
	{name: "a long string", old: `    "rtsptunnel": {` + "\n" + `      "properties.desired"`, new: `"filter": {"properties.desired": {"a": "` + strings.Repeat("x", 4097) + `"}}, "rtsptunnel": {"properties.desired"`, path: "modulesContent/filter/properties.desired/a", text: "more than 4096 bytes", remedy: "shorten"},
	{name: "a deep twin", old: `    "rtsptunnel": {` + "\n" + `      "properties.desired"`, new: `"filter": {"properties.desired": ` + strings.Repeat(`{"a":`, 11) + "{}" + strings.Repeat("}", 11) + `}, "rtsptunnel": {"properties.desired"`, path: "modulesContent/filter/properties.desired/a/a/a/a/a/a/a/a/a/a/a", text: "nested more than 10 levels deep", remedy: "flatten"},

	// Layers.
	{name: "no dots in a layer", file: layered, old: `"$edgeHub": {`, new: `"$edgeHub": {"properties.desired": {}, `, path: "content/modulesContent/$edgeHub/properties.desired", text: "is not allowed in a layer", remedy: "properties.desired.routes.NAME"},
	{name: "another key in a layer", file: layered, old: `"$edgeHub": {`, new: `"$edgeHub": {"routes": {}, `, path: "content/modulesContent/$edgeHub/routes", text: "is not allowed in a layer", remedy: "with dots"},
	{name: "all routes of a layer", file: layered, old: `properties.desired.routes.rtsptunnelToHub": "FROM /messages/modules/rtsptunnel/outputs/* INTO $upstream"`, new: `properties.desired.routes": {}`, path: "content/modulesContent/$edgeHub/properties.desired.routes", text: "would replace all routes", remedy: "NAME"},
	{name: "a system module", file: layered, old: `"$edgeAgent": {`, new: `"$edgeAgent": {"properties.desired.systemModules.edgeHub.env.a": {"value": 1}, `, path: "content/modulesContent/$edgeAgent/properties.desired.systemModules.edgeHub.env.a", text: "which a layer cannot have", remedy: "the full deployment"},
	{name: "a part of a module", file: layered, old: `"$edgeAgent": {`, new: `"$edgeAgent": {"properties.desired.modules.filter.env.A": {"value": "1"}, `, path: "content/modulesContent/$edgeAgent/properties.desired.modules.filter.env.A", text: "is a part of a module", remedy: "repeat the whole", warning: true},
	{name: "another part", file: layered, old: `"$edgeHub": {`, new: `"$edgeHub": {"properties.desired.storeAndForwardConfiguration.timeToLiveSecs": 7, `, path: "content/modulesContent/$edgeHub/properties.desired.storeAndForwardConfiguration.timeToLiveSecs", text: "is not documented for layers", remedy: "full deployment", warning: true},
	{name: "a part in a part", file: layered, old: `"properties.desired.cameras.back"`, new: `"properties.desired.cameras": {}, "properties.desired.cameras.back"`, path: "content/modulesContent/rtsptunnel/properties.desired.cameras.back", text: "is inside of properties.desired.cameras", remedy: "move it into properties.desired.cameras"},
	{name: "a camera of a layer", file: layered, old: `"localPort": 8555`, new: `"localPort": 70000`, path: "content/modulesContent/rtsptunnel/properties.desired.cameras.back/localPort", text: "must be an integer from 1 to 65535", remedy: "docs/TWIN.md"},
	{name: "a module of a layer", file: layered, old: `"status": "running"`, new: `"status": 1`, path: layerPath + "/status", text: "must be a string", remedy: "number"},
}

func TestValidate_wrong(t *testing.T) {
	for _, m := range validateMutations {
		t.Run(m.name, m.test)
	}
}

var severalProblems = []struct {
	name, file, old, new string
	env                  map[string]string
	want                 []string // path: text
}{
	{name: "a module's name", old: `"probe": {`, new: `"pro be": {`, want: []string{
		"modules/pro be: has a name that is not allowed", "modules/pro be: has a name that IoT Hub does not accept", "routes/probeToFilter: is for module probe,",
	}},
	{name: "an old runtime", env: map[string]string{"EDGE_RUNTIME_VERSION": "1.4.20"}, want: []string{
		"edgeAgent/settings/image: is a runtime version that is no longer supported", "edgeHub/settings/image: is a runtime version that is no longer supported",
	}},
	{name: "a ninth piece", file: layered, old: `"createOptions": {"HostConfig": {"Memory": 100000000}}`, new: `"createOptions": "{}", "createOptions08": ""`, want: []string{
		"/createOptions08: has no piece before it: edge agent rejects the whole configuration",
	}},
	{name: "an env name with #", old: `"ON": {`, new: `"O#N": {`, want: []string{
		"env/O#N: has a name that is not allowed", "env/O#N: has a name that IoT Hub does not accept",
	}},
	{name: "a route's name", old: `"filterToHub"`, new: `"filter#Hub"`, want: []string{
		"routes/filter#Hub: has a name that is not allowed", "routes/filter#Hub: has a name that IoT Hub does not accept",
	}},
	{name: "a name with a dot", old: `"service": "*`, new: `"ser.vice": "*`, want: []string{
		"remoteEndpoints/ser.vice: has a name that IoT Hub does not accept", "remoteEndpoints/ser.vice: a label has 1 to 64",
	}},
	{name: "a part in a full one", old: `"rtsptunnel": {` + "\n      \"", new: `"filter": {"properties.desired.x": 1}, "rtsptunnel": {"`, want: []string{
		"filter/properties.desired.x: is a part of desired properties in a full deployment",
	}},
	{name: "all modules of a layer", file: layered, old: `"$edgeAgent": {`, new: `"$edgeAgent": {"properties.desired.modules": {}, `, want: []string{
		"properties.desired.modules: would replace all modules", "properties.desired.modules.rtsptunnel: is inside of properties.desired.modules",
	}},
	{name: "no edge hub", old: `"$edgeHub"`, new: `"edgeHub"`, want: []string{
		"modulesContent/$edgeHub: is missing", "modulesContent/edgeHub: is for a module that this deployment does not define",
	}},
	{name: "more in a full one", old: `"$edgeHub": {`, new: `"$edgeHub": {"routes": {},`, want: []string{
		"modulesContent/$edgeHub/routes: is not known here",
	}},
	{name: "a layer without dots", file: layered, old: `desired.modules.rtsptunnel": {`, new: `desired": {"modules": {}},
"properties.desired.modules.rtsptunnel": {`, want: []string{
		"$edgeAgent/properties.desired: has neither runtime nor systemModules", "$edgeHub/properties.desired: is missing",
		"cameras.back: is a part of desired properties in a full deployment",
	}},
	{name: "two dots", file: layered, old: `desired.cameras.back`, new: `desired.cameras..back`, want: []string{
		"cameras..back: has two dots without a name between them", "cameras/: a name has 1 to 64",
	}},
	{name: "sections of other kinds", old: `"rtsptunnel": {` + "\n      \"", new: `"filter": [], "probe": {"properties.desired": 1}, "rts ptunnel": {}, "rtsptunnel": {"`, want: []string{
		"modulesContent/filter: must be an object", "modulesContent/probe/properties.desired: must be an object", "modulesContent/rts ptunnel: has a name that is not allowed",
	}},
}

// Some mutations cause more than one problem.
func TestValidate_several(t *testing.T) {
	for _, c := range severalProblems {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(solution)); err != nil {
				t.Fatal(err)
			}
			m := mutation{file: cmp.Or(c.file, "deployment.template.json"), env: c.env}
			change(t, filepath.Join(dir, m.file), c.old, c.new)
			var got []string
			for _, p := range problemsOf(t, dir, m) {
				got = append(got, p.Path+": "+p.Text)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, want) }) {
					t.Errorf("no %s", want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("want %d, got\n%s", len(c.want), strings.Join(got, "\n"))
			}
		})
	}
}
