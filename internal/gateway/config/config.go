// Package config reads tunnelgateway's configuration: one YAML file, or the environment
// alone. The JSON Schema beside it, [Schema], says which keys there are and which values
// they have; code checks what a schema cannot express.
//
// The rules are:
//   - A file is accepted completely, or refused with all of its faults, each with line,
//     column and the path of the key.
//   - Secrets are read from files and variables of the environment that keys ending in File
//     name. No fault repeats a value.
//   - A variable TUNNELGATEWAY_... replaces the file's value for the same thing.
//   - Any bytes end in a configuration or an error, in bounded time and memory.
//
// Only the wiring sees these types; other packages get plain values. Code belongs here if
// it reads the file, a file that it names, or the environment.
package config

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Config is a configuration with all defaults. It does not change.
type Config struct {
	Listen      Listen                 `yaml:"listen"`
	PublicURL   string                 `yaml:"publicURL"` // without a slash at its end; empty without hubs
	Hubs        map[string]Hub         `yaml:"hubs"`
	Cameras     map[string]Camera      `yaml:"cameras"`
	Credentials map[string]Credentials `yaml:"credentials"`
	Access      Access                 `yaml:"access"`
	Limits      Limits                 `yaml:"limits"`
	Live        Live                   `yaml:"live"`
	Page        bool                   `yaml:"page"` // for browsers
	Metrics     Metrics                `yaml:"metrics"`
	Log         Log                    `yaml:"log"`
	Data        string                 `yaml:"data"` // a folder

	// Warnings are lines about values that are valid and probably not meant.
	Warnings []string `yaml:"-"`
}

// Listen has the listeners.
type Listen struct {
	Public  []Public `yaml:"public"` // at least one
	ACME    ACME     `yaml:"acme"`
	RTSP    RTSP     `yaml:"rtsp"`
	RTSPS   RTSPS    `yaml:"rtsps"`
	Private Private  `yaml:"private"`
}

// ACME is the server of certificates (RFC 8555).
type ACME struct {
	Directory string `yaml:"directory"`
}

// Public is a listener for tunnels and the API. Without Cert and UseACME it speaks plain HTTP.
type Public struct {
	Address        string   `yaml:"address"`
	Cert           string   `yaml:"cert"` // path of a file in PEM
	Key            string   `yaml:"key"`
	TrustedProxies []string `yaml:"trustedProxies"` // addresses or networks (CIDR)

	UseACME bool `yaml:"-"` // the certificate is for the public URL's name
}

// RTSP is the listener for RTSP without TLS.
type RTSP struct {
	Address string `yaml:"address"`
}

// RTSPS is the listener for RTSP over TLS; there is none if Address is empty.
type RTSPS struct {
	Address string `yaml:"address"`
	Cert    string `yaml:"cert"`
	Key     string `yaml:"key"`

	UseACME bool `yaml:"-"`
}

// Private is the listener for operators' tools.
type Private struct {
	Address string `yaml:"address"`
	Pprof   bool   `yaml:"pprof"`
}

// Hub is an IoT Hub.
type Hub struct {
	ConnectionStringFile string `yaml:"connectionStringFile"`
	CAFile               string `yaml:"caFile"`
	Discover             bool   `yaml:"discover"`

	ConnectionString Secret `yaml:"-"`
	CA               []byte `yaml:"-"` // certificates in PEM; nil: the system's alone
}

// Camera is a camera of the file, or settings of a discovered one. It is a direct source if
// URL is not empty.
type Camera struct {
	Hub         string            `yaml:"hub"`
	Module      string            `yaml:"module"`
	LocalPort   int               `yaml:"localPort"` // 0: as discovered
	Path        string            `yaml:"path"`
	Streams     map[string]Stream `yaml:"streams"`
	URL         string            `yaml:"url"`
	Credentials string            `yaml:"credentials"` // a key of Config.Credentials, or empty
	Title       string            `yaml:"title"`
	Video       string            `yaml:"video"`
	KeepOpen    bool              `yaml:"keepOpen"`
}

// Stream is one stream of a camera.
type Stream struct {
	Path          string `yaml:"path"`
	Codec         string `yaml:"codec"`
	Width         int    `yaml:"width"`
	Height        int    `yaml:"height"`
	BitsPerSecond int    `yaml:"bitsPerSecond"`
}

// Credentials are a login of cameras.
type Credentials struct {
	Username     string   `yaml:"username"` // also the content of UsernameFile
	UsernameFile string   `yaml:"usernameFile"`
	PasswordFile string   `yaml:"passwordFile"`
	Cameras      []string `yaml:"cameras"` // globs

	Password Secret `yaml:"-"`
}

// Access says who may use the gateway.
type Access struct {
	Tokens      []Token  `yaml:"tokens"`
	Origins     []string `yaml:"origins"` // of other pages
	SealKeyFile string   `yaml:"sealKeyFile"`

	SealKey Secret `yaml:"-"` // empty: it is in the data folder
}

// Token is a static token. Hash is empty, or its SHA-256 in hexadecimal digits; if it is
// empty, Clear is the token.
type Token struct {
	Name       string   `yaml:"name"`
	Role       string   `yaml:"role"`
	Cameras    []string `yaml:"cameras"` // globs
	SHA256     string   `yaml:"sha256"`  // also the content of SHA256File
	SHA256File string   `yaml:"sha256File"`
	TokenFile  string   `yaml:"tokenFile"`
	RTSPDigest bool     `yaml:"rtspDigest"`
	Expires    Time     `yaml:"expires"`
	MayShare   bool     `yaml:"mayShare"`

	Clear Secret `yaml:"-"`
}

// Limits bound what viewers and cameras use.
type Limits struct {
	Viewers           int      `yaml:"viewers"`
	ViewersPerCamera  int      `yaml:"viewersPerCamera"`
	ViewersPerAddress int      `yaml:"viewersPerAddress"`
	OpenTunnels       int      `yaml:"openTunnels"`
	Openings          int      `yaml:"openings"`
	Ring              Size     `yaml:"ring"`
	RingAge           Duration `yaml:"ringAge"`
	Lag               Duration `yaml:"lag"`
}

// Live says how streams open and close, and how outputs serve them.
type Live struct {
	Grace    Duration `yaml:"grace"`
	Opening  Duration `yaml:"opening"`
	KeyFrame Duration `yaml:"keyFrame"`
	HLS      HLS      `yaml:"hls"`
}

// HLS has the durations of LL-HLS.
type HLS struct {
	Part    Duration `yaml:"part"`
	Segment Duration `yaml:"segment"`
}

// Metrics says what /metrics shows.
type Metrics struct {
	Cameras bool `yaml:"cameras"` // figures of single cameras, too
}

// Log says which lines are written, and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // auto, json or console
}

// Duration is a time.Duration that is written as 10s.
type Duration time.Duration

// UnmarshalText reads what the schema's pattern accepts.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Time is a time.Time that is written in the form of RFC 3339.
type Time struct{ time.Time }

// never is what an impossible date, such as the 31st of February, becomes until check
// reports it with its line.
var never = time.Unix(0, 1)

// UnmarshalText reads RFC 3339. It has no error.
func (t *Time) UnmarshalText(text []byte) error {
	v, err := time.Parse(time.RFC3339, strings.ToUpper(string(text)))
	if err != nil {
		v = never
	}
	t.Time = v
	return nil
}

// Size is a number of bytes that is written as 16MiB.
type Size int64

// UnmarshalText reads what the schema's pattern accepts.
func (s *Size) UnmarshalText(text []byte) error {
	i := bytes.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if i < 0 {
		i = len(text)
	}
	n, err := strconv.ParseInt(string(text[:i]), 10, 64)
	if err != nil {
		return err
	}
	shift, ok := map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}[string(text[i:])]
	if !ok || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size", text)
	}
	*s = Size(n << shift)
	return nil
}

// defaults returns a configuration with the schema's defaults; a test holds the two
// together.
func defaults() *Config {
	return &Config{
		Listen: Listen{ACME: ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory"}, RTSP: RTSP{Address: "127.0.0.1:8554"}, Private: Private{Address: "127.0.0.1:9610"}},
		Limits: Limits{
			Viewers: 1000, ViewersPerCamera: 200, ViewersPerAddress: 200, OpenTunnels: 1000, Openings: 16,
			Ring: 16 << 20, RingAge: Duration(12 * time.Second), Lag: Duration(3 * time.Second),
		},
		Live: Live{
			Grace: Duration(10 * time.Second), Opening: Duration(30 * time.Second), KeyFrame: Duration(10 * time.Second),
			HLS: HLS{Part: Duration(200 * time.Millisecond), Segment: Duration(time.Second)},
		},
		Page:    true,
		Metrics: Metrics{Cameras: true},
		Log:     Log{Level: "info", Format: "auto"},
		Data:    "/var/lib/tunnelgateway",
	}
}

// defaultModule is the module's name in the deployment templates.
const defaultModule = "rtsptunnel"
