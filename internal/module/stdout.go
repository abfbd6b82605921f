package module

import "os"

// ownStdout is standard output, which nobody else has from then on: the MQTT library
// prints to it what of a hub's packets it cannot parse, in the middle of the log.
func ownStdout() *os.File {
	out := os.Stdout
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stdout = nowhere
	}
	return out
}
