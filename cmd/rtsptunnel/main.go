// Command rtsptunnel is the edge module: it reads its cameras from the module twin
// and opens tunnels to them from the inside, as the direct method tunnelOpen asks.
// It takes its identity from the environment that IoT Edge injects.
package main

import (
	"os"

	"rtsptunnel/internal/module"
)

func main() { os.Exit(module.Main()) }
