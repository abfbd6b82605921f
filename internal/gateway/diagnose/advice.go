package diagnose

import (
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// advices say what to do about a code, where its text does not say enough.
var advices = map[reason.Code]string{
	reason.HubDNS:         "check HostName in the hub's connection string, and this machine's DNS",
	reason.HubRefused:     "check that this machine may connect to the hub's port 443, and HTTPS_PROXY if the network has a proxy",
	reason.HubTimeout:     "check that this machine may connect to the hub's port 443, and HTTPS_PROXY if the network has a proxy",
	reason.HubLogin:       "use the connection string of a shared access policy with Service Connect and Registry Read, and check this machine's clock",
	reason.HubThrottled:   "wait; if it lasts, raise the hub's tier or number of units",
	reason.HubUnavailable: "wait; if it lasts, check the health of the hub in Azure",
	reason.HubTLSCA:       "set caFile of the hub if it is an emulator; on a real hub's connection a proxy may replace certificates",

	reason.ModuleUnknown: "check device and module of the camera in the gateway's file, and that the identity is enabled in the hub",
	reason.ModuleOffline: "check the device's power and network, and the module's state and log: iotedge list, iotedge logs",
	reason.ModuleTimeout: "the module is connected, but busy or stuck: read its log, and restart it if it does not recover",
	reason.ModuleAnswer:  "check which program runs under this identity, and its version",
	reason.UnknownMethod: "the identity belongs to another program: check device and module of the camera in the gateway's file",

	reason.PortNotAllowed: "set this local port for a camera in the module's twin (cameras.NAME.localPort), or correct localPort in the gateway's file; a camera that is switched off has no local port",
	reason.Disabled:       "set tunnels.enabled in the module's twin to true; a module that has no valid twin opens no tunnels either",
	reason.PolicyRemote:   "add the host of the gateway's public URL to remoteEndpoints in the module's twin",
	reason.LimitTunnels:   "close other tunnels of the camera, or raise its maxTunnels, or tunnels.max, in the module's twin; at hop gateway raise limits.openTunnels in the gateway's file",
	reason.LimitCalls:     "wait; many callers use the module at once",
	reason.NoResources:    "raise the process's limit of open files, or see what else runs on its machine",
	reason.ShuttingDown:   "wait for the restart",

	reason.CameraRefused: "check at the site: the camera's power, its address and port in the module's twin, and whether RTSP is switched on",
	reason.CameraTimeout: "check the camera's power, its address, and the network between",
	reason.CameraDNS:     "use the camera's address instead of its name, or repair the DNS of the site",
	reason.CameraLost:    "the camera accepted the connection and broke it: restart the camera, and check whether another client takes its last session",
	reason.CameraClosed:  "the camera accepted the connection and closed it: check that its port is the RTSP port, and whether another client takes its last session",

	reason.RemoteHTTP:    "check that the gateway's public URL leads to this gateway, and that a proxy before it passes WebSockets and the Authorization header on",
	reason.RemoteRefused: "open the public URL from the site: curl -v https://HOST/; check DNS, firewall and certificate (RTSPTUNNEL_CA_FILE names additional roots)",
	reason.RemoteTimeout: "check the firewalls between the site and the gateway",
	reason.ProxyHTTP:     "check the module's proxy: its address and login, and that it allows CONNECT to the gateway",
	reason.TunnelMissing: "another program answers at the gateway's public URL, or another instance of the gateway: each needs a URL of its own",
	reason.TunnelLost:    "check the network between the site and the gateway, and the idle timeouts of proxies",

	reason.PathUnknown:  "set cameras.NAME.streams.main.path in the module's twin, or path of the camera in the gateway's file",
	reason.RTSPLogin:    "set credentials of the camera in the gateway's file, and check them with a player at the site",
	reason.RTSPNotFound: "look up the camera's RTSP path in its manual or web page",
	reason.RTSPBusy:     "end other clients of the camera, or raise its number of sessions; a running stream of this gateway counts as one",
	reason.RTSPProtocol: "check that the port is the camera's RTSP port; update the camera's firmware",
	reason.RTSPTimeout:  "restart the camera; if it lasts, check its load",
	reason.NoMedia:      "set the camera's codec to H.264 or H.265",
	reason.NoKeyFrame:   "shorten the camera's key-frame interval (GOP) to 1 to 4 seconds, and switch \"smart codec\" off",
	reason.MediaStopped: "restart the camera; check whether its stream is switched on",
	reason.MediaInvalid: "choose another codec or profile in the camera, and update its firmware",
}

// Advice returns what to do about a failure.
func Advice(f *failure.Failure) string {
	if text := advices[f.Reason]; text != "" {
		return text
	}
	switch f.Hop {
	case failure.Hub:
		return "check the hub's connection string, and the network between this machine and the hub"
	case failure.Module:
		return "read the module's log"
	case failure.Camera, failure.RTSP, failure.Media:
		return "check the camera with a player at the site"
	case failure.Viewer, failure.Gateway:
	}
	return "read the gateway's log"
}
