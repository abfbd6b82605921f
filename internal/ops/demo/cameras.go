package demo

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"rtsptunnel/internal/testkit/rtsptest"
)

// camera is one camera behind the module: a simulator, or a camera of the user.
type camera struct {
	name      string // in the module's twin; also the name of a simulator's clip
	localPort int    // in the module's twin
	host      string // where the module dials it; a simulator's once it runs
	port      int
	path      string // of its stream, with its query

	username, password string // for the gateway's file; empty without a login

	simulator *rtsptest.Camera // nil for a camera of the user
}

// fullName is the camera's name at the gateway.
func (c *camera) fullName() string { return deviceID + "/" + c.name }

// newCameras returns the two simulators.
func newCameras() []*camera {
	return []*camera{{name: "front", localPort: 554, path: "/front"}, {name: "yard", localPort: 1554, path: "/yard"}}
}

// firstOwnPort is the local port of the user's first camera. The others follow.
const firstOwnPort = 2554

// errCameraURL does not repeat the URL, which may hold a password.
var errCameraURL = errors.New("a camera's URL is like rtsp://user:password@host:port/path")

// ownCameras returns the cameras of the user, by their URLs.
func ownCameras(urls []string) ([]*camera, error) {
	var own []*camera
	for i, text := range urls {
		c, err := parseCamera(text)
		if err != nil {
			return nil, err
		}
		c.name, c.localPort = "camera"+strconv.Itoa(i+1), firstOwnPort+i
		own = append(own, c)
	}
	return own, nil
}

// parseCamera reads rtsp://user:password@host:port/path. Login, port and path are optional.
func parseCamera(text string) (*camera, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "rtsp" || u.Hostname() == "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errCameraURL
	}
	port, err := strconv.Atoi(portOf(u))
	if err != nil || port < 1 || port > 65535 {
		return nil, errCameraURL
	}
	c := &camera{host: u.Hostname(), port: port, path: u.RequestURI()}
	if u.User != nil {
		c.username = u.User.Username()
		c.password, _ = u.User.Password()
	}
	return c, nil
}

func portOf(u *url.URL) string {
	if u.Port() == "" {
		return "554"
	}
	return u.Port()
}

// simulate starts the simulator of a camera.
func (c *camera) simulate() error {
	simulator, err := rtsptest.Start(rtsptest.Options{Name: c.name})
	if err != nil {
		return err
	}
	c.simulator = simulator
	host, port, err := net.SplitHostPort(simulator.Addr())
	if err != nil {
		return err
	}
	c.host = host
	c.port, err = strconv.Atoi(port)
	return err
}

// cameraURLs is a flag that may be repeated.
type cameraURLs []string

func (c *cameraURLs) add(text string) error {
	if _, err := parseCamera(text); err != nil {
		return err
	}
	*c = append(*c, text)
	return nil
}

// camerasVariable has URLs of cameras, with blanks between them. Other programs can read the
// arguments of this process, but not its environment.
const camerasVariable = "TUNNELCTL_DEMO_CAMERAS"

// withVariable returns the URLs of the flags and of the environment.
func (c cameraURLs) withVariable(value string) []string {
	return append(append([]string(nil), c...), strings.Fields(value)...)
}
