package packaging_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/ops/demo"
	"rtsptunnel/internal/testkit/logtest"
)

// launches is .vscode/launch.json, with those attributes of Go's debugger that it uses.
type launches struct {
	Version        string   `json:"version"`
	Configurations []launch `json:"configurations"`
}

type launch struct {
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	Request       string            `json:"request"`
	Mode          string            `json:"mode"`
	Program       string            `json:"program"`
	Args          []string          `json:"args"`
	Env           map[string]string `json:"env"`
	PreLaunchTask string            `json:"preLaunchTask"`
	Console       string            `json:"console"`
}

// tasks is .vscode/tasks.json.
type tasks struct {
	Version string `json:"version"`
	Tasks   []struct {
		Label          string          `json:"label"`
		Type           string          `json:"type"`
		Command        string          `json:"command"`
		DependsOn      string          `json:"dependsOn"`
		Group          json.RawMessage `json:"group"`
		IsBackground   bool            `json:"isBackground"`
		ProblemMatcher json.RawMessage `json:"problemMatcher"`
	} `json:"tasks"`
}

const workspace = "${workspaceFolder}/"

// configuration returns the launch configuration of that name.
func configuration(t *testing.T, name string) launch {
	t.Helper()
	var l launches
	decode(t, ".vscode/launch.json", &l)
	i := slices.IndexFunc(l.Configurations, func(c launch) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no launch configuration %q", name)
	}
	return l.Configurations[i]
}

// The programs and tasks exist, and the module knows the variables that it gets.
func TestLaunch(t *testing.T) {
	var l launches
	decode(t, ".vscode/launch.json", &l)
	var ts tasks
	decode(t, ".vscode/tasks.json", &ts)
	labels := map[string]bool{"": true}
	for _, task := range ts.Tasks {
		labels[task.Label] = true
		targetsExist(t, task.Command)
	}
	for _, task := range ts.Tasks {
		if !labels[task.DependsOn] {
			t.Errorf("task %s depends on %s, which does not exist", task.Label, task.DependsOn)
		}
	}
	for _, c := range l.Configurations {
		if c.Type != "go" || c.Request != "launch" || !slices.Contains([]string{"debug", "test"}, c.Mode) {
			t.Errorf("%s: type %s, request %s, mode %s", c.Name, c.Type, c.Request, c.Mode)
		}
		if !labels[c.PreLaunchTask] {
			t.Errorf("%s: there is no task %s", c.Name, c.PreLaunchTask)
		}
		if program, found := strings.CutPrefix(c.Program, workspace); found {
			read(t, program+"/main.go")
		} else if c.Program != "${fileDirname}" {
			t.Errorf("%s: program %s", c.Name, c.Program)
		}
		for name := range c.Env {
			if !slices.ContainsFunc(config.Variables, func(v config.Variable) bool { return v.Name == name }) {
				t.Errorf("%s: the module reads no variable %s", c.Name, name)
			}
		}
	}
}

func TestLaunch_demo(t *testing.T) {
	c := configuration(t, "demo")
	var out, complaint bytes.Buffer
	program := cli.Program{Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{demo.Command()}}
	if c.Program != workspace+"cmd/tunnelctl" || program.Run(t.Context(), append(c.Args, "--help"), cli.IO{Out: &out, Err: &complaint}) != 0 {
		t.Errorf("%+v: %s", c, &complaint)
	}
}

// The task starts a hub. The module, with the environment of the launch configuration,
// connects to it and applies its twin.
func TestLaunch_moduleAgainstTheEmulator(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		skipUnlessCI(t, "there is no bash for .vscode/hub")
	}
	dir, err := os.MkdirTemp("", "vscode-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/bin/", "./cmd/hubemulator", "./cmd/tunnelctl")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	startTask(t, dir)
	c := configuration(t, "module against the emulator")
	env := map[string]string{"RTSPTUNNEL_METRICS_LISTEN": "off", "RTSPTUNNEL_HUB_ADDRESS": ""}
	for name, value := range c.Env {
		env[name] = strings.ReplaceAll(value, workspace, dir+"/")
	}
	state, err := os.ReadFile(dir + "/.work/hub/env")
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)='(.*)'$`).FindAllStringSubmatch(string(state), -1) {
		printed[m[1]] = m[2]
	}
	env["RTSPTUNNEL_HUB_ADDRESS"] = printed["MQTT"] // a free port, which the connection string does not name
	log, stop := runModule(t, env)
	hub := clientOf(t, printed["HUB_CONNECTION_STRING"], dir+"/.work/hub/ca.pem")
	id := hubclient.Identity{Device: "edge1", Module: ourModule}
	tw, err := hub.Twin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	reportedOf(t, hub, id, versionOf(t, tw.Properties.Desired))
	stop()
	logtest.NoSecret(t, log.String())
}

// clientOf returns a client of a hub whose certificate is signed by a CA of caFile.
func clientOf(t *testing.T, connectionString, caFile string) *hubclient.Client {
	t.Helper()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	hub, err := hubclient.New(connectionString, hubclient.Options{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	return hub
}

// startTask runs the task "hub emulator" until the test ends. dir holds the binary.
func startTask(t *testing.T, dir string) {
	t.Helper()
	script, err := filepath.Abs(top + "/.vscode/hub")
	if err != nil {
		t.Fatal(err)
	}
	said := logtest.New()
	cmd := exec.Command(script, "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, said, said, patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the task ends with %v: %s", err, said)
		}
	})
	said.Await(t, "\nready\n", 1)
	logtest.NoSecret(t, said.String())
}
