package relays

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup puts a relay into its own process group, so that a terminal's Ctrl-C does not
// reach it: this process ends the relays in order. The kernel kills a relay when this
// process dies.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cpuTime returns the processor time of a process with all its threads, including those
// that have ended. It is the sum of utime and stime in /proc/PID/stat, but in units of ns
// instead of 10 ms (clock_getcpuclockid(3); scheduled is the kernel's CPUCLOCK_SCHED).
func cpuTime(pid int) (time.Duration, error) {
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil { //nolint:gosec // G115: a process id has 22 bits
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// memory returns Rss and Pss of /proc/PID/smaps_rollup, in bytes.
func memory(pid int) (rss, pss int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseInt(string(fields[1]), 10, 64)
		switch string(fields[0]) {
		case "Rss:":
			rss = kib << 10
		case "Pss:":
			pss = kib << 10
		}
	}
	if rss == 0 || pss == 0 {
		return 0, 0, fmt.Errorf("no Rss or no Pss in smaps_rollup of process %d", pid)
	}
	return rss, pss, nil
}

// Descriptors returns the number of files that this process may have open. Each of its
// children may have as many.
func Descriptors() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Max, 1<<30)), nil
}
