package container_test

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"rtsptunnel/internal/base/container"
)

const mib = 1 << 20

// files are a file system's, by name.
func files(contents map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range contents {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestFitMemory(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no control groups": {nil, 0},
		"v2, own namespace": {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "33554432\n"}, 32 * mib},
		"v2, unlimited":     {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"v2, the host's namespace": {map[string]string{
			"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/docker/abc/memory.max": "max\n",
			"sys/fs/cgroup/docker/memory.max": "67108864\n",
		}, 64 * mib},
		"v2, not mounted": {map[string]string{"proc/self/cgroup": "0::/../..\n"}, 0},
		"v1": {map[string]string{
			"proc/self/cgroup":                                        "12:cpu,cpuacct:/docker/other\n5:name=memoryhog:/docker/other\n4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":              "9223372036854771712\n",
			"sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes":   "25165824\n",
			"sys/fs/cgroup/memory/docker/other/memory.limit_in_bytes": "1\n",
		}, 24 * mib},
		"v1, the container's mount": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "25165824\n",
		}, 24 * mib},
		"v1, unlimited": {map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 0},
		"garbage": {map[string]string{"proc/self/cgroup": "x\n::\n0::/\n", "sys/fs/cgroup/memory.max": "-5"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
			defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
			if got := container.FitMemory(files(c.files)); got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
			want := int64(math.MaxInt64)
			if c.want > 0 {
				want = int64(0.9 * float64(c.want))
			}
			if got := debug.SetMemoryLimit(-1); got != want {
				t.Errorf("the collector's limit is %d, want %d", got, want)
			}
			if got := debug.SetGCPercent(100); got != 20 {
				t.Errorf("the collector's percentage is %d", got)
			}
		})
	}
}

// What an operator has said with GOGC and GOMEMLIMIT stays.
func TestFitMemory_leavesTheOperators(t *testing.T) {
	percent, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(5*mib)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	container.FitMemory(files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "33554432\n"}))
	if got := debug.SetMemoryLimit(-1); got != 5*mib {
		t.Errorf("the collector's limit is %d", got)
	}
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("the collector's percentage is %d", got)
	}
}
