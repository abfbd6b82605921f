// Package reason is the closed list of reason codes: why a tunnel did not open, why one
// ended, why there is no hub connection, why the module is degraded or not ready, and why
// the gateway does not serve a camera. The codes appear in log lines, in reported
// properties, and in the answers of both programs. A released code
// is never renamed, and never gets another meaning.
//
// Code belongs here if it adds a reason code, or changes the text or the class of one. The
// package is pure: it has no I/O and imports no other package of this module.
package reason

import "errors"

// Code is one reason, stable across versions. The empty Code is no reason.
type Code string

// Why a tunnel did not open.
const (
	RequestJSON     Code = "REQ_JSON"
	RequestField    Code = "REQ_FIELD"
	RequestType     Code = "REQ_TYPE"
	RequestEndpoint Code = "REQ_ENDPOINT"
	RequestToken    Code = "REQ_TOKEN"
	PortNotAllowed  Code = "PORT_NOT_ALLOWED"
	CameraRefused   Code = "CAM_REFUSED"
	CameraTimeout   Code = "CAM_TIMEOUT"
	CameraDNS       Code = "CAM_DNS"
	RemoteHTTP      Code = "WS_HTTP"
	RemoteDNS       Code = "WS_DNS"
	RemoteRefused   Code = "WS_REFUSED"
	RemoteTLSExpiry Code = "WS_TLS_EXPIRED"
	RemoteTLSName   Code = "WS_TLS_NAME"
	RemoteTLSCA     Code = "WS_TLS_CA"
	RemoteUpgrade   Code = "WS_BAD_UPGRADE"
	RemoteTimeout   Code = "WS_TIMEOUT"
	ProxyLogin      Code = "PROXY_407"
	ProxyHTTP       Code = "PROXY_HTTP"
	ProxyDown       Code = "PROXY_DOWN"
	UnknownMethod   Code = "METHOD_UNKNOWN"
	ShuttingDown    Code = "SHUTTING_DOWN"
	Internal        Code = "INTERNAL"
)

// Why a limit, the policy or a switch refuses a request. PolicyRemote and Disabled also
// end open tunnels, as ShuttingDown does.
const (
	RequestSize  Code = "REQ_SIZE"
	PolicyRemote Code = "POLICY_REMOTE"
	CameraBusy   Code = "CAM_BUSY"
	LimitTunnels Code = "LIMIT_TUNNELS"
	LimitCalls   Code = "LIMIT_CALLS"
	Disabled     Code = "DISABLED"
)

// Why a dial or a look-up failed, or the module is degraded: the fault is this process's, and
// says nothing about the peer.
const (
	NoResources      Code = "NO_RESOURCES"
	LimitDescriptors Code = "LIMIT_DESCRIPTORS"
)

// Why the module ended a tunnel after its camera's configuration changed.
const (
	CameraRemoved  Code = "CAM_REMOVED"
	CameraChanged  Code = "CAM_CHANGED"
	CameraDisabled Code = "CAM_DISABLED"
)

// Why the module ended a tunnel that the configuration allows.
const (
	LimitIdle Code = "LIMIT_IDLE"
	LimitAge  Code = "LIMIT_AGE"
)

// Why a tunnel ended that the module did not end.
const (
	CameraClosed Code = "CAM_CLOSED"
	CameraLost   Code = "CAM_LOST"
	RemoteClosed Code = "WS_CLOSED"
	RemoteLost   Code = "WS_LOST"
)

// Why there is no hub connection. Proxy failures have the same codes as for tunnels.
const (
	HubDNS          Code = "HUB_DNS"
	HubRefused      Code = "HUB_REFUSED"
	HubTimeout      Code = "HUB_TIMEOUT"
	HubTLSExpired   Code = "HUB_TLS_EXPIRED"
	HubTLSNotYet    Code = "HUB_TLS_NOT_YET"
	HubTLSName      Code = "HUB_TLS_NAME"
	HubTLSCA        Code = "HUB_TLS_CA"
	HubTLS          Code = "HUB_TLS"
	HubUpgrade      Code = "HUB_BAD_UPGRADE"
	HubLogin        Code = "HUB_LOGIN"
	HubUnavailable  Code = "HUB_UNAVAILABLE"
	HubProtocol     Code = "HUB_PROTOCOL"
	HubSubscription Code = "HUB_SUBSCRIPTION"
	HubTwin         Code = "HUB_TWIN"
	HubTwinOld      Code = "HUB_TWIN_OLD"
	HubReport       Code = "HUB_REPORT"
	HubLost         Code = "HUB_LOST"
	HubCredentials  Code = "HUB_CREDENTIALS"
	HubWorkload     Code = "HUB_WORKLOAD"
)

// Why the module is degraded: its environment, its health listener or its event loops.
const (
	ConfigEnvironment Code = "CFG_ENV"
	HealthListen      Code = "HEALTH_LISTEN"
	LoopStuck         Code = "LOOP_STUCK"
)

// Why the module is not ready. ShuttingDown is another such reason.
const (
	HubNotConnected  Code = "HUB_NOT_CONNECTED"
	HubNotSubscribed Code = "HUB_NOT_SUBSCRIBED"
	TwinNotApplied   Code = "TWIN_NOT_APPLIED"
)

// Why a value of the configuration is invalid.
const (
	ConfigType      Code = "CFG_TYPE"
	ConfigRange     Code = "CFG_RANGE"
	ConfigFormat    Code = "CFG_FORMAT"
	ConfigMissing   Code = "CFG_MISSING"
	ConfigDuplicate Code = "CFG_DUPLICATE"
	ConfigSize      Code = "CFG_SIZE"
	ConfigProxy     Code = "CFG_PROXY"
)

// Why the module is degraded: a setting that is for labs only.
const (
	LabLoopback  Code = "LAB_LOOPBACK"
	LabPlaintext Code = "LAB_PLAINTEXT"
)

// Why the gateway cannot reach a camera's video beyond its own and the module's reasons: the
// hub's answer to a direct method, and the tunnel's end as the gateway sees it.
const (
	HubThrottled  Code = "HUB_THROTTLED"
	HubAnswer     Code = "HUB_ANSWER"
	ModuleUnknown Code = "MODULE_UNKNOWN"
	ModuleOffline Code = "MODULE_OFFLINE"
	ModuleTimeout Code = "MODULE_TIMEOUT"
	ModuleAnswer  Code = "MODULE_ANSWER"
	TunnelMissing Code = "TUNNEL_MISSING"
	TunnelClosed  Code = "TUNNEL_CLOSED"
	TunnelLost    Code = "TUNNEL_LOST"
)

// Why a camera's RTSP server or its media do not serve the gateway.
const (
	PathUnknown    Code = "PATH_UNKNOWN"
	RTSPLogin      Code = "RTSP_AUTH"
	RTSPNotFound   Code = "RTSP_NOT_FOUND"
	RTSPBusy       Code = "RTSP_BUSY"
	RTSPProtocol   Code = "RTSP_PROTOCOL"
	RTSPTimeout    Code = "RTSP_TIMEOUT"
	NoMedia        Code = "NO_MEDIA"
	NoKeyFrame     Code = "NO_KEY_FRAME"
	MediaStopped   Code = "MEDIA_STOPPED"
	MediaInvalid   Code = "MEDIA_INVALID"
	TracksChanged  Code = "TRACKS_CHANGED"
	OpeningTimeout Code = "OPENING_TIMEOUT"
	OpeningEnded   Code = "OPENING_ENDED"
)

// Why the gateway does not serve a viewer, or stops serving one. ShuttingDown and
// CameraRemoved are other such reasons.
const (
	CameraUnknown     Code = "CAM_UNKNOWN"
	AccessLogin       Code = "ACCESS_LOGIN"
	AccessExpired     Code = "ACCESS_EXPIRED"
	AccessDenied      Code = "ACCESS_DENIED"
	AccessThrottled   Code = "ACCESS_THROTTLED"
	AccessOrigin      Code = "ACCESS_ORIGIN"
	CodecNotForOutput Code = "CODEC_NOT_FOR_OUTPUT"
	NoPicture         Code = "NO_PICTURE"
	ViewerStalled     Code = "VIEWER_STALLED"
	ViewerTransport   Code = "VIEWER_TRANSPORT"
	ViewerClosed      Code = "VIEWER_CLOSED"
	StreamClosed      Code = "STREAM_CLOSED"
	LimitViewers      Code = "LIMIT_VIEWERS"
	LimitOpenings     Code = "LIMIT_OPENINGS"
	LimitConnections  Code = "LIMIT_CONNECTIONS"
	ViewerUnknown     Code = "VIEWER_UNKNOWN"
	RequestRoute      Code = "REQ_ROUTE"
	RequestMethod     Code = "REQ_METHOD"
	RequestQuery      Code = "REQ_QUERY"
	RequestUpgrade    Code = "REQ_UPGRADE"
	RequestBody       Code = "REQ_BODY"
	RequestMediaType  Code = "REQ_MEDIA_TYPE"
	AccessHost        Code = "ACCESS_HOST"
	LimitEvents       Code = "LIMIT_EVENTS"
	ShareUnknown      Code = "SHARE_UNKNOWN"
	LimitShares       Code = "LIMIT_SHARES"
	DataFolder        Code = "DATA_FOLDER"
)

var texts = map[Code]string{
	RequestJSON:     "the payload is not a JSON object",
	RequestField:    "a member of the request is missing or empty",
	RequestType:     "a member of the request has the wrong type",
	RequestEndpoint: "the remote endpoint is not a valid wss URL",
	RequestToken:    "the authorization token cannot be sent in a header",
	PortNotAllowed:  "no camera has this local port",
	CameraRefused:   "the camera refused the connection or is unreachable",
	CameraTimeout:   "the camera did not answer in time",
	CameraDNS:       "the camera's name does not resolve",
	RemoteHTTP:      "the remote endpoint answered with an error status",
	RemoteDNS:       "the remote endpoint's name does not resolve",
	RemoteRefused:   "the remote endpoint refused the connection or is unreachable",
	RemoteTLSExpiry: "the remote endpoint's certificate is expired or not yet valid: check the device's clock",
	RemoteTLSName:   "the remote endpoint's certificate is for another name",
	RemoteTLSCA:     "the remote endpoint's certificate is signed by an unknown authority",
	RemoteUpgrade:   "the remote endpoint did not accept the WebSocket handshake",
	RemoteTimeout:   "the remote endpoint did not answer in time",
	ProxyLogin:      "the proxy requires credentials, or refused those it got",
	ProxyHTTP:       "the proxy answered with an error status",
	ProxyDown:       "the proxy is unreachable or does not speak HTTP",
	UnknownMethod:   "the module has no direct method with this name",
	ShuttingDown:    "shutting down",
	Internal:        "internal error",
	CameraClosed:    "the camera closed the connection in order",
	CameraLost:      "the connection to the camera broke",
	RemoteClosed:    "the remote endpoint closed the tunnel in order",
	RemoteLost:      "the connection to the remote endpoint broke",

	RequestSize:  "the payload or one of its members is too long or nested too deeply",
	PolicyRemote: "the policy does not allow this remote endpoint",
	CameraBusy:   "the camera has reached its maximum number of tunnels",
	LimitTunnels: "the maximum number of tunnels is reached",
	LimitCalls:   "the maximum number of direct methods that run at once is reached",
	Disabled:     "tunnels are switched off",

	NoResources:      "this process has no file descriptor, port or memory left: check its limit of open files, and what else runs here",
	LimitDescriptors: "the limit of open files allows fewer tunnels than tunnels.max: raise the limit, or lower tunnels.max",

	CameraRemoved:  "the camera was removed from the configuration",
	CameraChanged:  "the camera's address or local port was changed",
	CameraDisabled: "the camera was switched off",

	LimitIdle: "the tunnel was idle for the configured maximum",
	LimitAge:  "the tunnel was open for the configured maximum",

	HubDNS:          "the hub's name does not resolve: check the name and the site's DNS",
	HubRefused:      "the hub refused the connection or is unreachable: check that it runs and that the firewall allows its port",
	HubTimeout:      "the hub did not answer in time: check that the firewall allows its port",
	HubTLSExpired:   "the hub's certificate is expired: renew it, or set this device's clock",
	HubTLSNotYet:    "the hub's certificate is not yet valid: set this device's clock",
	HubTLSName:      "the hub's certificate is for another name: check the host name in the connection string, or in IoT Edge's config.toml",
	HubTLSCA:        "the hub's certificate is signed by an unknown authority: check the trust bundle, or the roots (docs/RUNNING.md)",
	HubTLS:          "no TLS 1.2 or newer with the hub: check which program answers at its address",
	HubUpgrade:      "the hub did not accept MQTT over WebSocket: check which program answers at its address",
	HubLogin:        "the hub refused the credentials: check the key or certificate, that the identity exists and is enabled, and this device's clock",
	HubUnavailable:  "the hub reports that it is unavailable",
	HubProtocol:     "the hub violates MQTT 3.1.1: check which program answers at its address",
	HubSubscription: "the hub refused a subscription or did not acknowledge it",
	HubTwin:         "the hub did not send the twin",
	HubTwinOld:      "the hub sent an empty or older twin, which is ignored",
	HubReport:       "the hub did not accept the reported properties",
	HubLost:         "the connection to the hub broke",
	HubCredentials:  "key, certificate or roots cannot be read: check the file that the error names",
	HubWorkload:     "IoT Edge's workload API fails: check that aziot-edged runs and that its socket is mounted",

	ConfigEnvironment: "an environment variable is unknown or invalid",
	HealthListen:      "listening on the health address failed: another program probably uses it",
	LoopStuck:         "an event loop is stuck: restart the module",

	HubNotConnected:  "no hub connection: the log has the reason and the time of the next attempt",
	HubNotSubscribed: "connected to the hub, but not yet subscribed to direct methods",
	TwinNotApplied:   "no configuration is applied: the hub has sent no valid twin",

	ConfigType:      "a value of the configuration has the wrong type",
	ConfigRange:     "a value of the configuration is not allowed",
	ConfigFormat:    "a name or a text of the configuration has the wrong format",
	ConfigMissing:   "a value of the configuration is missing",
	ConfigDuplicate: "the configuration has a duplicate that is not allowed",
	ConfigSize:      "the configuration is too large, too deep or has too many entries",
	ConfigProxy:     "the configuration's proxy is not an http or https URL without credentials",

	LabLoopback:  "RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE is set: endpoints may be on this device",
	LabPlaintext: "RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE is set: tokens and video may be sent without TLS",

	HubThrottled:  "the hub limits how often methods are called: wait, or raise the hub's tier or units",
	HubAnswer:     "the hub's answer is not one of IoT Hub's REST API: check HostName in the connection string",
	ModuleUnknown: "the hub knows no such device or module: check the camera's device and module",
	ModuleOffline: "the module is not connected to the hub: check the device's power, its network and its log",
	ModuleTimeout: "the module did not answer the direct method in time",
	ModuleAnswer:  "the module's answer is not one of the contract",
	TunnelMissing: "the module reports an open tunnel, but none arrived: check which program answers at the gateway's public URL",
	TunnelClosed:  "the module closed the tunnel",
	TunnelLost:    "the tunnel's connection broke",

	PathUnknown:    "the camera's RTSP path is not known: set streams in the module's twin, or path in the gateway's file",
	RTSPLogin:      "the camera refused the credentials, or requires some: check the camera's credentials in the gateway's file",
	RTSPNotFound:   "the camera has no stream with this path: check the path",
	RTSPBusy:       "the camera serves no further session: end another client of the camera",
	RTSPProtocol:   "the camera violates RTSP, or answered with an error",
	RTSPTimeout:    "the camera's RTSP server did not answer in time",
	NoMedia:        "the camera offers no video or sound that the gateway can pass on",
	NoKeyFrame:     "the camera sends no key frame: shorten its key-frame interval",
	MediaStopped:   "the camera sends no more media",
	MediaInvalid:   "the camera's media cannot be read",
	TracksChanged:  "the camera changed its tracks or codecs: open the stream again",
	OpeningTimeout: "opening the stream took too long",
	OpeningEnded:   "nothing waits for the stream any more",

	CameraUnknown:     "there is no camera or stream with this name",
	AccessLogin:       "a valid token is required",
	AccessExpired:     "the token is expired",
	AccessDenied:      "the token does not allow this",
	AccessThrottled:   "too many failed logins: wait, then log in with a valid token",
	AccessOrigin:      "pages of this origin may not use the gateway: add it to access.origins",
	NoPicture:         "the gateway has no picture of the camera yet: watch it once",
	ViewerStalled:     "the viewer did not read for too long",
	ViewerTransport:   "the gateway serves RTSP over TCP alone: request interleaved transport",
	ViewerClosed:      "an operator disconnected the viewer",
	StreamClosed:      "an operator closed the stream",
	LimitViewers:      "the maximum number of viewers is reached",
	LimitOpenings:     "too many streams are opening at once",
	LimitConnections:  "the maximum number of connections is reached",
	ViewerUnknown:     "there is no viewer with this id",
	ShareUnknown:      "there is no share with this id",
	LimitShares:       "the maximum number of shares is reached: revoke some",
	DataFolder:        "the gateway cannot write to its data folder: make room, or make the folder writable",
	RequestRoute:      "the gateway has no such route",
	RequestMethod:     "the route does not have this method",
	RequestQuery:      "a query parameter is not valid",
	RequestUpgrade:    "the route is for WebSockets alone",
	RequestBody:       "the body is not JSON with the members of the route",
	RequestMediaType:  "the body must have the content type application/json",
	AccessHost:        "the name in the URL is not one of this gateway: use 127.0.0.1, localhost or the public URL",
	CodecNotForOutput: "this output cannot carry the camera's codec: choose another output, or set the camera to H.264",
	LimitEvents:       "too many clients watch events: close other pages, or poll",
}

// Text returns one line about the code for people, without a full stop. The text of an
// unknown code is the code.
func (c Code) Text() string {
	if t, ok := texts[c]; ok {
		return t
	}
	return string(c)
}

// Codes returns all codes, in no particular order.
func Codes() []Code {
	codes := make([]Code, 0, len(texts))
	for c := range texts {
		codes = append(codes, c)
	}
	return codes
}

// Error is an error with a reason code. Err is for the log only: it may hold addresses.
type Error struct {
	Code Code
	Err  error // may be nil
}

// Error returns the code, followed by the cause, or by the code's text if there is none.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code) + ": " + e.Code.Text()
	}
	return string(e.Code) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns err with a reason code. err may be nil.
func New(c Code, err error) error { return &Error{Code: c, Err: err} }

// Of returns the code of the first Error in err's chain, Internal if there is none, and the
// empty Code for a nil error.
func Of(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}
