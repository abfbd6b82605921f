package relays

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuTime reads the kernel's account of the process: its value lies between the values of
// getrusage before and after.
func TestCPUTime_isTheKernelsAccount(t *testing.T) {
	for begin := used(t); used(t)-begin < 100*time.Millisecond; {
	}
	const grain = 50 * time.Millisecond // the kernel accounts for running threads one tick later
	before := used(t)
	got, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after := used(t); got < before-grain || got > after+grain {
		t.Errorf("processor time %s, getrusage %s to %s", got, before, after)
	}
}

func TestCPUTime_ofNoProcess(t *testing.T) {
	if _, err := cpuTime(1 << 22); err == nil { // above the largest process id
		t.Error("a process that does not exist has used processor time")
	}
}

func TestMemory_grows(t *testing.T) {
	const more = 64 << 20
	rss, pss, err := memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Mmap takes new pages from the kernel. Go's heap may reuse pages of the process.
	held, err := syscall.Mmap(-1, 0, more, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(held) })
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	rss2, pss2, err := memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if rss2-rss < more*9/10 || pss2-pss < more*9/10 {
		t.Errorf("64 MiB more are rss %+d, pss %+d", rss2-rss, pss2-pss)
	}
}
