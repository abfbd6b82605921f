package demo_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/testkit/rtsptest"
)

// A camera of the user is watched as the demo's own are. Its login reaches no log, no
// argument and no environment of a process, and only files of this user.
func TestDemo_ownCamera(t *testing.T) {
	const user, password = "canary-user", "canary:pass/w%rd"
	tempDir(t)
	camera, err := rtsptest.Start(rtsptest.Options{Name: "attic", Path: "live/main", User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(camera.Close)
	t.Setenv("TUNNELCTL_DEMO_CAMERAS", "rtsp://"+user+":canary%3Apass%2Fw%25rd@"+camera.Addr()+"/live/main")
	d := startDemo(t, "--verbose")
	urls := rtspURL.FindAllString(d.out.String(), -1)
	if len(urls) != 3 || !strings.Contains(urls[2], "/camera1?") {
		t.Fatalf("URLs %v", urls)
	}
	d.watch(t, urls[2])
	for _, part := range []int{edgeModule, gateway} {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile("/proc/" + strconv.Itoa(d.pid(t, part)) + "/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "canary") {
				t.Errorf("%s of part %d holds the login", file, part)
			}
		}
	}
	files := 0
	err = filepath.Walk(os.Getenv("TMPDIR"), func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.Contains(path, "/gateway/") && info.Mode().IsRegular() {
			if files++; info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
		}
		return err
	})
	if err != nil || files < 7 {
		t.Errorf("%d files of the gateway, %v", files, err)
	}
	d.end(t)
	if strings.Contains(d.out.String()+d.logs.String(), "canary") {
		t.Errorf("the login is in the output:\n%s%s", d.out, d.logs)
	}
}
