package rtspout_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(drainVariable); address != "" {
		drain(address) // a process of the benchmark
		return
	}
	goleak.VerifyTestMain(m)
}
