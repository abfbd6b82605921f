// Command tunnelgateway serves the cameras behind edge modules to RTSP players. See
// tunnelgateway --help.
package main

import (
	"os"

	"rtsptunnel/internal/gateway/gatewayctl"
)

func main() { os.Exit(gatewayctl.Main(os.Args[1:])) }
