// Command rtsptunnel is the edge module: it reads its cameras from the module twin
// and opens tunnels to them from the inside, as the direct method tunnelOpen asks.
// Its identity is in the environment: what IoT Edge injects, or a connection string;
// docs/RUNNING.md lists all variables.
package main

import (
	"os"

	"rtsptunnel/internal/module"
)

func main() { os.Exit(module.Main()) }
