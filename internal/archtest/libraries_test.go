package archtest_test

// home is where a library may be imported.
type home struct {
	homes []string
	why   string
}

// onlyIn gives libraries their home: the one package that hides a library's traps, or
// the few that use it for different things. A home that does not import it fails.
var onlyIn = map[string]home{
	"github.com/CycloneDX/cyclonedx-go":     {[]string{"images/sbom"}, "bills of materials"},
	"github.com/KimMachineGun/automemlimit": {[]string{"gateway/gatewayctl", "module"}, "the limits of control groups"},
	"github.com/amenzhinsky/iothub":         {[]string{"module/hubconn"}, "MQTT topics and twin requests of a device; every workaround stands there"},
	"github.com/bluenviron/gohlslib":        {[]string{"gateway/hls"}, "segments and parts of HLS, and the form of playlists"},
	"github.com/bluenviron/gortsplib":       {[]string{"bench/fanout", "gateway/rtspout", "gateway/source", "test/republish", "testkit/rtsptest"}, "RTSP; rtspout: to players"},
	"github.com/bluenviron/mediacommon":     {[]string{"gateway/fmp4", "gateway/hls", "gateway/media", "gateway/source", "testkit/rtsptest"}, "codecs and MP4; source: what RTP packets hold"},
	"github.com/eclipse/paho.mqtt.golang":   {[]string{"module/hubconn"}, "MQTT for a device"},
	"github.com/google/uuid":                {[]string{"gateway/fleet"}, "the UUIDs of videos"},
	"github.com/gorilla/websocket": {
		[]string{
			"base/wsstream", "wire/wsconn", "module/hubconn", "gateway/mse", "gateway/rtspws", "hub/hubemulator/mqttws", "ops/demo", "testkit/rtsptest",
			"bench/baseline", "bench/ends", "bench/socket",
		},
		"wsstream: MQTT's WebSocket has other rules than the tunnel's; hubconn, mqttws: its handshakes; " +
			"rtspws, rtsptest: those of RTSP in browsers; demo: it checks the outputs as a browser asks for them; bench: what measures wsconn must not change with it",
	},
	"github.com/golang-jwt/jwt":             {[]string{"gateway/access"}, "content tokens"},
	"github.com/kelseyhightower/envconfig":  {[]string{"module/config"}, "the environment"},
	"github.com/mochi-mqtt/server":          {[]string{"hub/hubemulator/broker"}, "MQTT for a hub"},
	"github.com/pion/rtp":                   {[]string{"bench/fanout", "gateway/source", "test/republish", "testkit/rtsptest"}, "RTP packets"},
	"github.com/prometheus/client_golang":   {[]string{"gateway"}, "metrics; the other packages have plain counters"},
	"github.com/santhosh-tekuri/jsonschema": {[]string{"gateway/config", "module/twin", "testkit/schematest"}, "JSON Schema: our own, and public ones in tests"},
	"github.com/pion/rtcp":                  {[]string{"gateway/rtspout"}, "sender reports and goodbyes"},
	"github.com/pion/sdp":                   {[]string{"gateway/rtspout"}, "the type from which gortsplib reads a format"},
	"github.com/spf13/cobra":                {[]string{"base/cli"}, "commands are declared in one way"},
	"github.com/spf13/pflag":                {[]string{"base/cli"}, "flags, for cobra"},
	"go.yaml.in/yaml":                       {[]string{"gateway/config"}, "the gateway's file"},
	"golang.org/x/crypto":                   {[]string{"base/certs"}, "ACME"},
	"golang.org/x/net/http/httpproxy":       {[]string{"module/config"}, "HTTPS_PROXY and NO_PROXY"},
	"golang.org/x/net/idna":                 {[]string{"module/policy"}, "hosts have one canonical form"},
	"golang.org/x/time":                     {[]string{"gateway/access", "gateway/opener", "gateway/rtspout", "hub/hubemulator/throttle", "wire/pace"}, "rates: log lines about strangers, operations of a hub, bytes of tunnels"},
}
