package module

import "os"

// takeStdout returns standard output, and points os.Stdout at the null device. The MQTT
// library prints packets that it cannot parse to os.Stdout: they must not mix with the
// log.
func takeStdout() *os.File {
	out := os.Stdout
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stdout = nowhere
	}
	return out
}
