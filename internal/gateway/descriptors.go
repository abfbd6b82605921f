package gateway

import (
	"math"
	"syscall"

	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/viewer"
)

// Descriptors that strangers and players may hold. The rest is for tunnels, cameras, hubs and
// files: without one, no stream opens.
const (
	playersFewest = 2000 // connections of players at least, if there are enough descriptors
	playersMore   = 1000 // than limits.viewers: those that have not logged in yet
	webMost       = 1024 // connections of one public listener that are no WebSockets
)

// connections are the numbers of connections that the listeners accept.
type connections struct{ players, web, sockets int }

// connectionsOf shares descriptors between the listeners: at most three eighths are for
// players, one eighth for all public listeners, and one eighth for WebSockets of browsers.
func connectionsOf(c *config.Config, descriptors int) connections {
	return connections{
		players: min(playersWanted(c), max(descriptors/8*3, 1)),
		web:     min(webMost, max(descriptors/8/max(len(c.Listen.Public), 1), 1)),
		sockets: min(c.Limits.Viewers, max(descriptors/8, 1)),
	}
}

func playersWanted(c *config.Config) int { return max(playersFewest, c.Limits.Viewers+playersMore) }

// descriptorsFor returns how many descriptors a configuration needs for all its viewers.
func descriptorsFor(c *config.Config) int { return (max(playersWanted(c)/3, c.Limits.Viewers) + 1) * 8 }

// descriptors returns how many files and sockets this process may have. The Go runtime has
// raised the soft limit to the hard one.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

func playerLimits(c *config.Config) rtspout.Limits {
	return rtspout.Limits{Connections: connectionsOf(c, descriptors()).players}
}

func viewerLimits(c *config.Config) viewer.Limits {
	return viewer.Limits{Total: c.Limits.Viewers, PerCamera: c.Limits.ViewersPerCamera, PerAddress: c.Limits.ViewersPerAddress}
}
