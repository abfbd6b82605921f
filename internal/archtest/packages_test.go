package archtest_test

// rule is what the non-test files of a package may import of ours, and what the
// package is there for or why it needs a surprising import.
type rule struct {
	imports []string
	why     string
}

// mayImport has a rule for each of our packages, by its path below the module's root
// without "internal/". A package that is not listed fails the test, and so does an
// import that is not listed or not used. A new line is a decision: the commit says why.
var mayImport = map[string]rule{
	"contract/reason":     {nil, "the closed list of reason codes"},
	"contract/desired":    {[]string{"contract/reason"}, "desired properties as both ends read them"},
	"contract/tunnelopen": {[]string{"contract/reason"}, "request, errors and header fields of the contract"},

	"base/buildinfo": {nil, "version and commit of the binary"},
	"base/certs":     {nil, "server certificates from files and ACME servers"},
	"base/cli":       {[]string{"base/buildinfo"}, "how operators' programs declare commands; buildinfo: the command version"},
	"base/health":    {[]string{"base/httpd"}, "health endpoints of any program"},
	"base/httpd":     {[]string{"base/peer"}, "an HTTP server that ends completely; peer: no client takes all connections"},
	"base/jsontree":  {nil, "JSON documents that keep their order and positions"},
	"base/jsonvalue": {nil, "copies and changes of decoded JSON values"},
	"base/localca":   {[]string{"base/wholefile"}, "certificates for loopback"},
	"base/logqueue":  {nil, "a log writer that drops lines instead of blocking"},
	"base/peer":      {nil, "which addresses count as one client"},
	"base/shortage":  {nil, "errors of this process's own resources"},
	"base/wholefile": {nil, "files that are complete after a crash"},
	"base/wsstream":  {nil, "a WebSocket as MQTT's stream of bytes; it does not know who its ends are"},

	"wire/pace":   {nil, "holds readers to a bit rate that they share"},
	"wire/proxy":  {[]string{"base/shortage", "contract/reason"}, "CONNECT through a site's HTTP proxy"},
	"wire/relay":  {[]string{"wire/pace"}, "copies between two connections; pace: how fast it reads"},
	"wire/wsconn": {[]string{"base/shortage", "base/wsstream", "contract/reason", "wire/proxy"}, "a tunnel's WebSocket as net.Conn; wsstream: its limit for handshakes; proxy: it dials through the site's"},

	"module": {
		[]string{
			"base/buildinfo", "base/health", "base/logqueue", "base/shortage", "contract/reason", "contract/tunnelopen", "module/camera", "module/config",
			"module/hubconn", "module/hublink", "module/logline", "module/policy", "module/report", "module/tunnel", "module/twin", "wire/wsconn",
		},
		"wires the packages of the wing into the edge module",
	},
	"module/camera":  {[]string{"base/shortage", "contract/reason"}, "the cameras by local port, and dialing them"},
	"module/config":  {nil, "the environment, read once"},
	"module/hubconn": {[]string{"base/shortage", "base/wsstream", "contract/reason", "wire/proxy"}, "one connection with the hub; proxy: a hub may be behind the site's"},
	"module/hublink": {[]string{"contract/reason", "module/hubconn"}, "when to connect, read the twin, report and renew; it must not know MQTT"},
	"module/logline": {[]string{"contract/reason", "contract/tunnelopen"}, "how long and how many the lines of callers are; tunnelopen: a refused call has a reason"},
	"module/policy":  {[]string{"contract/reason"}, "judges remote endpoints without resolving or dialing"},
	"module/report":  {[]string{"contract/reason", "module/camera", "module/twin"}, "reported properties; twin: the configuration in force is one of them"},
	"module/tunnel": {
		[]string{"contract/reason", "contract/tunnelopen", "module/camera", "module/logline", "wire/pace", "wire/relay"},
		"the life of tunnels; camera: whose tunnels they are; pace: which of them share a bit rate",
	},
	"module/twin": {
		[]string{"contract/desired", "contract/reason", "module/camera", "module/policy", "modules/rtsptunnel"},
		"desired properties as types; policy: an endpoint that it cannot compare is a fault of the twin",
	},
	"modules/rtsptunnel": {nil, "the twin's schema as a file that operators' tools read, too"},

	"hub/hubaccess": {[]string{"hub/hubclient"}, "how an operator names a hub, alike in all commands"},
	"hub/hubclient": {nil, "IoT Hub's REST API"},
	"hub/hubemulator": {
		[]string{
			"base/cli", "base/httpd", "base/localca", "base/wholefile", "hub/hubemulator/broker", "hub/hubemulator/control", "hub/hubemulator/faults",
			"hub/hubemulator/mqttws", "hub/hubemulator/rest", "hub/hubemulator/rollout", "hub/hubemulator/statefile", "hub/hubemulator/store",
			"hub/hubemulator/telemetry", "hub/hubemulator/throttle", "hub/hubemulator/workload",
		},
		"wires the packages below it into the hub emulator; cli: the command serve",
	},
	"hub/hubemulator/broker": {
		[]string{"hub/hubemulator/faults", "hub/hubemulator/sas", "hub/hubemulator/store", "hub/hubemulator/telemetry", "hub/hubemulator/throttle"},
		"MQTT: what devices and modules send",
	},
	"hub/hubemulator/control":    {[]string{"hub/hubemulator/faults", "hub/hubemulator/store", "hub/hubemulator/telemetry"}, "lets a test drive the hub"},
	"hub/hubemulator/deployment": {[]string{"base/jsonvalue"}, "merges deployments without devices; ops/manifest has the same rules, and tests compare the two"},
	"hub/hubemulator/faults":     {nil, "the faults that a test asked for"},
	"hub/hubemulator/mqttws":     {[]string{"base/wsstream"}, "MQTT over WebSocket, as connections for any broker"},
	"hub/hubemulator/query":      {nil, "the query language over JSON documents"},
	"hub/hubemulator/rest": {
		[]string{
			"hub/hubemulator/broker", "hub/hubemulator/deployment", "hub/hubemulator/faults", "hub/hubemulator/query", "hub/hubemulator/rollout",
			"hub/hubemulator/sas", "hub/hubemulator/store", "hub/hubemulator/throttle",
		},
		"the REST API: what services send",
	},
	"hub/hubemulator/rollout": {
		[]string{"hub/hubemulator/deployment", "hub/hubemulator/query", "hub/hubemulator/store"},
		"which deployment applies to which device; query: target conditions are queries",
	},
	"hub/hubemulator/sas":       {nil, "shared access signatures"},
	"hub/hubemulator/statefile": {[]string{"base/wholefile"}, "files without meaning; the store is meaning without files"},
	"hub/hubemulator/store":     {[]string{"base/jsonvalue"}, "registry, twins and configurations in memory"},
	"hub/hubemulator/telemetry": {nil, "device-to-cloud messages"},
	"hub/hubemulator/throttle":  {nil, "how often operations are allowed"},
	"hub/hubemulator/workload":  {[]string{"hub/hubemulator/faults", "hub/hubemulator/store"}, "the workload API"},

	"gateway": {
		[]string{
			"base/buildinfo", "base/certs", "base/health", "base/httpd", "base/logqueue", "base/shortage", "contract/desired", "contract/reason",
			"gateway/access", "gateway/api", "gateway/browser", "gateway/config", "gateway/datafolder", "gateway/diagnose", "gateway/failure", "gateway/fleet",
			"gateway/hls", "gateway/hubfailure", "gateway/listen", "gateway/live", "gateway/media", "gateway/mse", "gateway/name", "gateway/opener", "gateway/page", "gateway/rtspout", "gateway/rtspws", "gateway/source", "gateway/still", "gateway/stream", "gateway/viewer", "hub/hubclient",
		},
		"wires the packages of the wing into tunnelgateway",
	},
	"gateway/gatewayctl": {
		[]string{"base/cli", "base/health", "gateway", "gateway/access", "gateway/config", "gateway/diagnose", "gateway/name"},
		"the commands of tunnelgateway, for the program and for the demo, which runs it as a process",
	},
	"gateway/access": {[]string{"base/peer", "contract/reason", "gateway/failure", "gateway/name"}, "tokens and rights, for all outputs; it knows no protocol"},
	"gateway/api": {
		[]string{
			"base/peer", "contract/reason", "gateway/access", "gateway/browser", "gateway/failure", "gateway/media", "gateway/name", "gateway/problem",
			"gateway/stream", "gateway/weblog",
		},
		"routes and their JSON; media, stream: it shows tracks and states; peer: how many clients of one address read events",
	},
	"gateway/config":  {[]string{"gateway/name"}, "the file and the environment; name: cameras' names and globs in the file have its grammar"},
	"gateway/failure": {[]string{"contract/reason"}, "hop and reason: the gateway's one form of an error"},
	"gateway/listen":  {nil, "who may connect to the public listeners, and under which address a client is known"},
	"gateway/fmp4":    {[]string{"contract/reason", "gateway/failure", "gateway/media"}, "units as fragmented MP4; pure"},
	"gateway/mse": {
		[]string{"contract/reason", "gateway/access", "gateway/failure", "gateway/fmp4", "gateway/live", "gateway/media", "gateway/problem", "gateway/stream", "gateway/viewer"},
		"MSE over one WebSocket; access: sound is a right of its own",
	},
	"gateway/live": {
		[]string{"contract/reason", "gateway/access", "gateway/failure", "gateway/name", "gateway/problem", "gateway/weblog"},
		"what outputs over HTTP have in common: the route, the login and the request of a viewer; access: who it is",
	},
	"gateway/media":   {nil, "access units and tracks, for all that make or read them"},
	"gateway/name":    {[]string{"contract/desired", "contract/reason", "gateway/failure"}, "the grammar of cameras' names; failure: no camera has a malformed one"},
	"gateway/page":    {nil, "the web page and its routes"},
	"gateway/problem": {[]string{"contract/reason", "gateway/failure"}, "a failure as an answer of HTTP, for the API and the outputs over HTTP"},
	"gateway/source":  {[]string{"contract/reason", "gateway/failure", "gateway/media"}, "one RTSP session with a camera; it sees a dial function, and neither hubs nor tunnels"},
	"gateway/hls": {
		[]string{"contract/reason", "gateway/access", "gateway/failure", "gateway/fmp4", "gateway/live", "gateway/media", "gateway/problem", "gateway/stream", "gateway/viewer"},
		"Low-Latency HLS; access: sound is a right of its own; fmp4: which tracks, and G.711 as FLAC",
	},
	"gateway/still": {
		[]string{"contract/reason", "gateway/failure", "gateway/fmp4", "gateway/live", "gateway/media", "gateway/problem", "gateway/stream", "gateway/viewer"},
		"single pictures over HTTP",
	},
	"gateway/viewer": {
		[]string{"base/peer", "contract/reason", "gateway/access", "gateway/failure"},
		"who watches, over all outputs; access: who it is",
	},
	"gateway/browser":    {[]string{"contract/reason", "gateway/failure"}, "what a browser's request carries; it judges no token, so it knows no rights"},
	"gateway/weblog":     {[]string{"contract/reason", "gateway/access", "gateway/failure"}, "lines of HTTP requests; access: what a logged URL must not show"},
	"gateway/datafolder": {[]string{"base/wholefile"}, "what the gateway generates is complete after a crash"},
	"gateway/diagnose": {
		[]string{"contract/reason", "contract/tunnelopen", "gateway/failure", "gateway/hubfailure", "gateway/media", "hub/hubclient"},
		"asks each hop; it opens tunnels and sessions through functions",
	},
	"gateway/fleet": {
		[]string{"contract/desired", "contract/reason", "contract/tunnelopen", "gateway/failure", "gateway/hubfailure", "gateway/name", "hub/hubclient"},
		"which cameras there are; tunnelopen: the model that modules announce",
	},
	"gateway/hubfailure": {
		[]string{"base/shortage", "contract/reason", "gateway/failure", "hub/hubclient"},
		"failures of the hub's REST API, for all that call it",
	},
	"gateway/opener": {
		[]string{"contract/reason", "contract/tunnelopen", "gateway/failure", "gateway/hubfailure", "hub/hubclient", "wire/wsconn"},
		"the cloud end of the contract",
	},
	"gateway/stream": {
		[]string{"contract/reason", "gateway/failure", "gateway/media"},
		"a camera pulled once; it sees one function that opens a session, so it knows no RTSP and no hub",
	},

	"gateway/rtspout": {
		[]string{"base/peer", "contract/reason", "gateway/failure", "gateway/media", "gateway/stream"},
		"RTSP to players; it finds streams and checks logins through functions, so it knows neither cameras nor tokens",
	},
	"gateway/rtspws": {
		[]string{
			"base/wsstream", "contract/reason", "gateway/access", "gateway/failure", "gateway/live", "gateway/problem", "gateway/rtspout", "gateway/viewer",
		},
		"RTSP over a browser's WebSocket; rtspout has RTSP and media, wsstream the bytes of the messages",
	},

	"ops/demo": {
		[]string{
			"base/cli", "base/localca", "base/wsstream", "contract/reason", "gateway/access", "gateway/gatewayctl", "hub/hubclient", "hub/hubemulator",
			"module", "testkit/rtsptest",
		},
		"starts all programs and cameras on one machine",
	},
	"ops/hubctl": {[]string{"base/cli", "hub/hubaccess", "hub/hubclient"}, "verbs for any hub; it does not know which one"},
	"ops/manifest": {
		[]string{"base/jsontree", "contract/reason", "module/twin", "ops/manifest/edgeroute"},
		"deployment manifests of any modules; twin: ours are judged by their schema; edgeroute: routes are judged as edge hub judges them",
	},
	"ops/manifest/edgeroute": {nil, "edge hub's routes and conditions; it knows no manifests"},
	"ops/manifestctl":        {[]string{"base/cli", "base/wholefile", "hub/hubaccess", "hub/hubclient", "ops/manifest"}, "verbs for manifests; wholefile: a result is complete or absent"},

	"testkit/hubtest":    {[]string{"hub/hubclient", "hub/hubemulator", "testkit/porttest"}, "a hub emulator for one test"},
	"testkit/logtest":    {nil, "a log that a test reads and waits for"},
	"testkit/porttest":   {nil, "ports that a test reserves without a listener"},
	"testkit/nettest":    {nil, "a site's network on loopback"},
	"testkit/rtsptest":   {nil, "RTSP cameras and players, for tests and the demo"},
	"testkit/schematest": {nil, "public schemas that judge our files"},

	"archtest":  {nil, "this package"},
	"packaging": {nil, "judges what operators' tools read; there is nothing to import"},

	// The product's cost is measured by programs that are not part of it. They know the
	// module by its contract and its hub.
	"bench":          {[]string{"base/cli", "bench/measure"}, "the command; cli: the signals that end it"},
	"bench/baseline": {[]string{"bench/socket"}, "what the product is compared with, so it holds nothing of the product"},
	"bench/cameras":  {[]string{"bench/stamp", "testkit/rtsptest"}, "many synthetic cameras; rtsptest: the headers of real pictures"},
	"bench/ends":     {[]string{"base/httpd", "bench/socket"}, "a camera and a cloud end that measure"},
	"bench/fanout":   {nil, "what the gateway's output is compared with, so it holds nothing of the product"},
	"bench/figures":  {nil, "figures, tables and the bar"},
	"bench/measure": {
		[]string{
			"bench/baseline", "bench/cameras", "bench/ends", "bench/fanout", "bench/figures", "bench/players", "bench/relays",
			"testkit/rtsptest",
		},
		"the measurements; rtsptest: a camera behind the module",
	},
	"bench/players": {[]string{"bench/stamp"}, "many players that time pictures"},
	"bench/relays": {
		[]string{
			"base/localca", "bench/baseline", "bench/cameras", "bench/ends", "bench/fanout", "bench/players",
			"contract/tunnelopen", "hub/hubclient", "hub/hubemulator",
		},
		"the relays and servers that are measured, each a process",
	},
	"bench/socket": {nil, "socket options for all of them"},
	"bench/stamp":  {nil, "marks by which players time the cameras' pictures"},

	"test/camera":    {[]string{"base/cli", "testkit/rtsptest"}, "a camera whose sessions begin with a key frame, for judges; cli: the signals that end it"},
	"test/republish": {[]string{"base/cli"}, "an RTSP server whose cameras are other programs; cli: the signals that end it"},

	"images/sbom": {nil, "lists what an image holds, from its archive"},

	"cmd/hubemulator":   {[]string{"base/cli", "hub/hubaccess", "hub/hubemulator"}, "flags and exit codes; hubaccess: it refuses secrets in arguments"},
	"cmd/tunnelgateway": {[]string{"gateway/gatewayctl"}, "the exit code"},
	"cmd/rtsptunnel":    {[]string{"base/buildinfo", "base/health", "contract/reason", "module", "module/config", "module/twin"}, "flags and exit codes; all but module: for the commands beside it"},
	"cmd/tunnelctl":     {[]string{"base/cli", "hub/hubaccess", "ops/demo", "ops/hubctl", "ops/manifestctl"}, "flags and exit codes"},
}

// forTests are packages that no program may contain.
var forTests = []string{"testkit/logtest", "testkit/hubtest", "testkit/nettest", "testkit/porttest", "testkit/schematest", "archtest", "packaging"}

// pure packages import nothing of impure, but for the exceptions listed.
var pure = map[string][]string{
	"base/jsontree":          nil,
	"base/peer":              nil,
	"bench/figures":          nil,
	"contract/desired":       nil,
	"contract/reason":        nil,
	"contract/tunnelopen":    nil,
	"gateway/access":         nil,
	"hub/hubemulator/faults": nil,
	"hub/hubemulator/query":  nil,
	"hub/hubemulator/sas":    {"net"}, // splits host and port, which is text
	"hub/hubemulator/store":  nil,

	"gateway/name":               nil,
	"hub/hubemulator/deployment": nil,
	"hub/hubemulator/telemetry":  nil,
	"hub/hubemulator/throttle":   nil,
	"module/policy":              {"net"}, // joins host and port, which is text
	"module/report":              nil,
	"module/twin":                nil,
}

// impure are the packages that touch the network, files or processes. The constants
// and the header type of net/http are values, and net/url is text.
var impure = []string{"net", "os", "os/exec", "os/signal", "syscall", "github.com/rs/zerolog"}
