package measure

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"rtsptunnel/bench/figures"
)

// machine describes this machine. What cannot be read stays empty.
func machine(ctx context.Context, moduleBinary string) figures.Machine {
	m := figures.Machine{
		Processor: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: contents("/proc/sys/kernel/osrelease"), LoadAvg: contents("/proc/loadavg"),
	}
	if words := strings.Fields(m.LoadAvg); len(words) > 3 { // numbers of processes follow
		m.LoadAvg = strings.Join(words[:3], " ")
	}
	kib, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal"), " ")
	if n, err := strconv.ParseFloat(kib, 64); err == nil {
		m.MemoryGiB = n / (1 << 20)
	}
	if out, err := exec.CommandContext(ctx, moduleBinary, "version").Output(); err == nil {
		m.Module = strings.TrimSpace(string(out))
	}
	return m
}

func contents(path string) string {
	b, err := os.ReadFile(path) //nolint:gosec // G304: the callers pass constants
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

// field returns the value of the first line "name : value".
func field(path, name string) string {
	lines := bufio.NewScanner(strings.NewReader(contents(path)))
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
