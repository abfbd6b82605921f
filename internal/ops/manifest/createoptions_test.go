package manifest_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/jsontree"
	"rtsptunnel/internal/ops/manifest"
)

// Text that is not printable ASCII becomes \uXXXX before it is cut, as in iotedgedev. The
// pieces are those of Python: json.dumps(options, separators=(",", ":")), cut by 512.
func TestExpand_createOptionsEscaped(t *testing.T) {
	options := `{"Labels": {"é": "` + strings.Repeat("x", 490) + `é\u0001\u007f\u2028\"\\/<>&😀` + "\u007f" + `"}}`
	dir := folder(t, map[string]string{"l.template.json": layer(`"example/x:1"`, options, `{}`)})
	m := expand(t, manifest.Source{File: filepath.Join(dir, "l.template.json")})
	if problems := manifest.Validate(m, manifest.Options{}); len(problems) > 0 {
		t.Error(problems)
	}
	var doc struct {
		Content struct {
			ModulesContent map[string]map[string]struct{ Settings map[string]string }
		}
	}
	if err := json.Unmarshal(m.JSON(), &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"image":           "example/x:1",
		"createOptions":   `{"Labels":{"\u00e9":"` + strings.Repeat("x", 490) + `\`,
		"createOptions01": `u00e9\u0001\u007f\u2028\"\\/<>&\ud83d\ude00\u007f"}}`,
	}
	if diff := cmp.Diff(want, doc.Content.ModulesContent["$edgeAgent"]["properties.desired.modules.x"].Settings); diff != "" {
		t.Error(diff)
	}
}

// createOptions that are text already are cut by characters, and not escaped.
func TestExpand_createOptionsText(t *testing.T) {
	text := `{"Labels":{"a":"` + strings.Repeat("é", 512) + `"}}`
	dir := folder(t, map[string]string{"l.template.json": layer(`"example/x:1"`, strconv.Quote(text), `{}`)})
	m := expand(t, manifest.Source{File: filepath.Join(dir, "l.template.json")})
	for _, want := range []string{`"createOptions": "{\"Labels\":{\"a\":\"` + strings.Repeat("é", 496) + `"`, `"createOptions01": "` + strings.Repeat("é", 16) + `\"}}"`} {
		if !strings.Contains(string(m.JSON()), want) {
			t.Errorf("no %s in\n%s", want, m.JSON())
		}
	}
}

// Pieces count as edge agent counts them: Azure/iotedge,
// edge-agent/test/Microsoft.Azure.Devices.Edge.Agent.Docker.Test/DockerConfigTest.cs, and
// edge-util/src/Microsoft.Azure.Devices.Edge.Util/JsonEx.cs.
func TestValidate_pieceNames(t *testing.T) {
	numbered := func(n int, form func(int) string) string {
		var names []string
		for i := range n {
			names = append(names, form(i))
		}
		return strings.Join(names, " ")
	}
	two := func(i int) string {
		if i == 0 {
			return "createOptions"
		}
		return "createOptions" + ("0" + strconv.Itoa(i))[len(strconv.Itoa(i))-1:]
	}
	for names, want := range map[string]string{
		"createOptions": "",
		"createoptions": "",
		"createoptions createOptions01 createoptions02":  "",
		"createOptions02 createOptions createOptions01":  "",
		"createOptions createOptions001 createOptions02": "",
		numbered(100, two):                             "",
		"CREATEOPTIONS":                                "warning: CREATEOPTIONS: is read by edge agent, but has a name that az refuses",
		"_createOptions":                               "warning: _createOptions: is read by edge agent, but has a name that az refuses",
		"createOptions00":                              "createOptions00: has no piece before it",
		"createOptions01":                              "createOptions01: has no piece before it",
		"createOptions createOptions02":                "createOptions02: has no piece before it",
		"createOptions createOptions00":                "createOptions00: is out of order",
		"createOptions createOptions01 createOptions1": "createOptions1: is out of order",
		"createOptions createOptionsOld":               "createOptionsOld: counts as one more piece",
		"createOptions createoptions":                  "createoptions: counts as one more piece",
		"createOptions createOptions99999999999":       "createOptions99999999999: counts as one more piece",
		numbered(100, two) + " createOptions100":       "createOptions100: is out of order",
		numbered(11, func(i int) string {
			return strings.TrimSuffix("createOptions"+strconv.Itoa(i), "0") + map[bool]string{true: "0"}[i == 10]
		}): "createOptions10: is out of order",
	} {
		var settings []string
		for name := range strings.FieldsSeq(names) {
			settings = append(settings, `"`+name+`": ""`)
		}
		got := problemsOfModule(t, `"image": "example/x:1", `+strings.Join(settings, ", "))
		if want == "" && len(got) == 0 {
			continue
		}
		if want == "" || len(got) != 1 || !strings.HasPrefix(got[0], want) || strings.Contains(got[0], "rejects the whole") == strings.Contains(want, "warning") {
			t.Errorf("%.80s: got %q, want %q", names, got, want)
		}
	}
}

// allOptions has a right value for each member that Docker's API has.
const allOptions = `{
"Hostname": "h", "Domainname": "d", "User": "u", "WorkingDir": "/", "MacAddress": "m", "StopSignal": "TERM", "Image": "i", "Name": "n",
"AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false, "OpenStdin": false, "StdinOnce": false, "ArgsEscaped": false, "NetworkDisabled": false,
"ExposedPorts": {"443/tcp": {}}, "Env": ["A=b"], "Cmd": ["c"], "Entrypoint": ["e"], "Shell": ["s"], "OnBuild": ["o"], "Labels": {"l": "v"}, "Volumes": {"/v": {}}, "StopTimeout": 10,
"Healthcheck": {"Test": ["CMD", "t"], "Interval": 1000000000, "Timeout": 0, "StartPeriod": 0, "StartInterval": 0, "Retries": 3},
"NetworkingConfig": {"EndpointsConfig": {"n": {"Aliases": ["a"], "Links": ["l"], "IPAMConfig": {"IPv4Address": "4", "IPv6Address": "6", "LinkLocalIPs": ["l"]}, "NetworkID": "n", "IPPrefixLen": 24, "DriverOpts": {"o": "v"}}}},
"HostConfig": {
"Binds": ["/a:/b"], "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}}, "NetworkMode": "bridge", "IpcMode": "", "PidMode": "host", "UTSMode": "", "UsernsMode": "", "Cgroup": "", "CgroupParent": "",
"CpusetCpus": "0", "CpusetMems": "0", "Isolation": "", "Runtime": "nvidia", "VolumeDriver": "", "InitPath": "", "ContainerIDFile": "", "CgroupnsMode": "private",
"PortBindings": {"443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "443"}]}, "Privileged": true, "AutoRemove": false, "PublishAllPorts": false, "ReadonlyRootfs": true, "OomKillDisable": false, "Init": true,
"Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true, "Consistency": "default", "BindOptions": {"Propagation": "rshared", "NonRecursive": true},
"VolumeOptions": {"NoCopy": true, "Labels": {"l": "v"}, "DriverConfig": {"Name": "n", "Options": {"o": "v"}}}, "TmpfsOptions": {"SizeBytes": 1, "Mode": 511}}],
"VolumesFrom": ["v"], "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "Dns": ["1.1.1.1"], "DnsOptions": ["o"], "DnsSearch": ["s"], "ExtraHosts": ["h:1.2.3.4"], "GroupAdd": ["video"], "Links": ["l"], "SecurityOpt": ["s"],
"Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"}], "DeviceCgroupRules": ["c 1:3 rwm"],
"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {"o": "v"}}], "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
"BlkioWeight": 100, "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 65535}], "BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 18446744073709551615}], "BlkioDeviceWriteIOps": [{"Path": "/dev/a", "Rate": 1}],
"Memory": 536870912, "MemoryReservation": 0, "MemorySwap": -1, "KernelMemory": 0, "NanoCpus": 500000000, "CpuShares": 1, "CpuPeriod": 1, "CpuQuota": -1, "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0,
"CpuCount": 0, "CpuPercent": 0, "OomScoreAdj": -5, "ShmSize": 67108864, "DiskQuota": 0, "KernelMemoryTCP": 0, "MemorySwappiness": 60, "PidsLimit": 100, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "ConsoleSize": [24, 80],
"Sysctls": {"net.core.somaxconn": "1024"}, "StorageOpt": {"size": "1G"}, "Tmpfs": {"/t": "rw"}, "Annotations": {"a": "v"}, "MaskedPaths": ["/p"], "ReadonlyPaths": ["/p"]}}`

// problemsOfOptions validates a module's createOptions. The paths start below them.
func problemsOfOptions(t *testing.T, options string) []string {
	t.Helper()
	var got []string
	for start := 0; start == 0 || start < len(options); start += 512 {
		name := "createOptions"
		if start > 0 {
			name = "createOptions" + ("0" + strconv.Itoa(start/512))[len(strconv.Itoa(start/512))-1:]
		}
		piece, err := json.Marshal(options[start:min(start+512, len(options))])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, `"`+name+`": `+string(piece))
	}
	got = problemsOfModule(t, `"image": "example/x:1", `+strings.Join(got, ", "))
	for i, line := range got {
		got[i] = strings.Replace(line, "createOptions/", "", 1)
	}
	return got
}

// A member of another kind is one error at its place, for each member that Docker's API
// has, whatever its depth. Names match in any letter case.
func TestValidate_optionKinds(t *testing.T) {
	if got := problemsOfOptions(t, allOptions); len(got) > 0 {
		t.Fatalf("right values have problems:\n%s", strings.Join(got, "\n"))
	}
	root, _, err := jsontree.Parse([]byte(allOptions))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	wrongKind := func(v *jsontree.Value, path string) {
		right := *v
		*v = jsontree.Value{Kind: jsontree.Array}
		if right.Kind == jsontree.Array {
			v.Kind = jsontree.Object
		}
		got := problemsOfOptions(t, string(root.Compact()))
		*v = right
		checked++
		if len(got) != 1 || !strings.HasPrefix(got[0], path+": must be ") || !strings.Contains(got[0], "rejects the whole configuration") && !strings.Contains(got[0], "does not create the container") {
			t.Errorf("%s: got %q", path, got)
		}
	}
	var each func(v *jsontree.Value, path string)
	each = func(v *jsontree.Value, path string) {
		for i, item := range v.Items {
			wrongKind(item, path+strconv.Itoa(i))
			each(item, path+strconv.Itoa(i)+"/")
		}
		for i := range v.Members {
			m := &v.Members[i]
			if !strings.Contains(path, "DriverConfig") && path != "Volumes/" {
				wrongKind(m.Value, path+m.Name)
			}
			each(m.Value, path+m.Name+"/")
		}
	}
	each(root, "")
	if checked < 170 {
		t.Errorf("checked only %d values", checked)
	}
	if got := problemsOfOptions(t, strings.ToLower(allOptions)); len(got) > 0 {
		t.Errorf("names in lower case have problems:\n%s", strings.Join(got, "\n"))
	}
}

// What edge agent's JSON library converts is a warning; what it refuses, and what Docker
// and aziot-edged refuse, is an error.
func TestValidate_optionConversions(t *testing.T) {
	const agent, edged, docker, converts = "edge agent rejects", "aziot-edged does not create", "Docker does not create", "warning: "
	for options, want := range map[string]string{
		`{"HostConfig": {"PortBindings": {"443/tcp": [{"HostPort": 443}]}}}`: converts + "HostConfig/PortBindings/443/tcp/0/HostPort: should be a string",
		`{"HostConfig": {"PortBindings": {"443/tcp": null}}}`:                "",
		`{"HostConfig": {"PortBindings": {"443/tcp": "443"}}}`:               agent,
		`{"HostConfig": {"Sysctls": {"net.core.somaxconn": 1024}}}`:          converts,
		`{"HostConfig": {"LogConfig": {"Config": {"max-file": 3}}}}`:         converts,
		`{"Env": [1]}`:                                             converts,
		`{"Env": [null]}`:                                          edged,
		`{"Env": null}`:                                            "",
		`{"Labels": {"a": true}}`:                                  converts,
		`{"Labels": {"a": null}}`:                                  edged,
		`{"HostConfig": null}`:                                     "",
		`{"HostConfig": {"Memory": "536870912"}}`:                  converts + "HostConfig/Memory: should be an integer",
		`{"HostConfig": {"Memory": " 5 "}}`:                        converts,
		`{"HostConfig": {"Memory": "512m"}}`:                       agent,
		`{"HostConfig": {"Memory": ""}}`:                           agent,
		`{"HostConfig": {"Memory": null}}`:                         agent,
		`{"HostConfig": {"Memory": 1.0e8}}`:                        "",
		`{"HostConfig": {"Memory": 1.5}}`:                          converts,
		`{"HostConfig": {"Memory": 9223372036854775808}}`:          agent,
		`{"HostConfig": {"Memory": 1e19}}`:                         agent,
		`{"HostConfig": {"Memory": 1e999}}`:                        agent,
		`{"HostConfig": {"Memory": true}}`:                         converts,
		`{"HostConfig": {"PidsLimit": null}}`:                      "",
		`{"HostConfig": {"BlkioWeight": 65536}}`:                   agent,
		`{"HostConfig": {"BlkioWeight": -1}}`:                      agent,
		`{"HostConfig": {"IOMaximumIOps": -1}}`:                    agent,
		`{"HostConfig": {"Privileged": "True"}}`:                   converts,
		`{"HostConfig": {"Privileged": "yes"}}`:                    agent,
		`{"HostConfig": {"Privileged": 1}}`:                        converts,
		`{"HostConfig": {"Privileged": null}}`:                     agent,
		`{"HostConfig": {"Init": null}}`:                           "",
		`{"HostConfig": {"CapAdd": "NET_ADMIN"}}`:                  agent,
		`{"ExposedPorts": {"443/tcp": null}}`:                      agent,
		`{"Cmd": "run"}`:                                           edged,
		`{"Entrypoint": [1]}`:                                      edged,
		`{"Hostname": 1}`:                                          edged,
		`{"User": 1000}`:                                           docker,
		`{"User": null}`:                                           "",
		`{"Tty": "true"}`:                                          docker,
		`{"StopTimeout": "10"}`:                                    docker,
		`{"StopTimeout": 10.0}`:                                    docker,
		`{"Healthcheck": {"Interval": "30s"}}`:                     docker,
		`{"HostConfig": {"Mounts": [{"BindOptions": "rshared"}]}}`: docker,
		`{"HostConfig": {"RestartPolicy": {"Name": "always"}}}`:    converts + "HostConfig/RestartPolicy: is not what restarts a module",
		`{"HostConfig": {"Bind": ["/a:/b"]}}`:                      converts + "HostConfig/Bind: is not a Docker option in this place",
		`{"Binds": ["/a:/b"]}`:                                     converts + "Binds: is not a Docker option in this place",
		`[]`:                                                       agent,
		`"text"`:                                                   agent,
		` null `:                                                   "",
		`{'Env': ['A="b"', 'it\'s', "c'd",], /* x */ User: 'u', // y` + "\n}": converts + "createOptions: is not strict JSON",
		`{"Labels": {"a": "x` + "\n" + `y"}}`:                                 converts + "createOptions: is not strict JSON",
		`{'Env': {'A': 'b'}}`:                                                 "not strict, and " + agent,
		`{"Env": []} x`:                                                       "createOptions: is not valid JSON",
		`{"Env": [],, "User": ""}`:                                            "createOptions: is not valid JSON",
		`{"Env": [}`:                                                          "createOptions: is not valid JSON",
		`{Env: [] /* x`:                                                       "createOptions: is not valid JSON",
		`{"Env": []} /* x`:                                                    "createOptions: is not valid JSON",
	} {
		got := problemsOfOptions(t, options)
		words, count := want, 1
		if rest, two := strings.CutPrefix(want, "not strict, and "); two {
			words, count = rest, 2
		}
		switch {
		case want == "" && len(got) == 0:
		case want == "" || len(got) != count || !strings.Contains(got[count-1], words) || strings.HasPrefix(got[count-1], "warning: ") != strings.HasPrefix(want, converts):
			t.Errorf("%s: got %q, want %q", options, got, want)
		}
	}
}
