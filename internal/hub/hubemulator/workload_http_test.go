package hubemulator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/hub/hubemulator/faults"
)

func startWithWorkloadHTTP(t *testing.T) (hub *hubemulator.Hub, generation string) {
	t.Helper()
	hub, err := hubemulator.Start(hubemulator.Options{
		HostName: hostName, GatewayName: gatewayName, Dir: newDir(t), WorkloadHTTP: "127.0.0.1:0", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeHub(t, hub) })
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // the library's client
	if generation, err = hub.AddModule("edge1", "m1"); err != nil {
		t.Fatal(err)
	}
	return hub, generation
}

// amenzhinsky/iothub uses the workload API over HTTP, as in old edge runtimes.
func TestWorkloadHTTP_withIothubLibrary(t *testing.T) {
	t.Parallel()
	hub, generation := startWithWorkloadHTTP(t)
	transport := connectLibrary(t, hub.MQTTAddr(), &iotdevice.ModuleSharedAccessKeyCredentials{
		SharedAccessKeyCredentials: iotdevice.SharedAccessKeyCredentials{
			DeviceID:        "edge1",
			SharedAccessKey: common.SharedAccessKey{HostName: hostName},
		},
		ModuleID: "m1", GenerationID: generation, Gateway: gatewayName,
		WorkloadURI: hub.WorkloadHTTPURI() + "/", EdgeGateway: true,
	})
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if version, err := transport.UpdateTwinProperties(ctx, []byte(`{"r":true}`)); err != nil || version != 2 {
		t.Errorf("reported patch: version %d, %v; want 2", version, err)
	}
}

func TestWorkloadHTTP_sameAsSocket(t *testing.T) {
	t.Parallel()
	hub, generation := startWithWorkloadHTTP(t)
	socket := workloadClient(hub.WorkloadURI())
	defer socket.CloseIdleConnections()
	post := func(client *http.Client, base string) (int, map[string]string) {
		target := base + "/modules/m1/genid/" + generation + "/sign?api-version=2018-06-28"
		response, err := client.Post(target, "application/json", strings.NewReader(`{"data":"AAAA"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var document map[string]string
		if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, document
	}
	_, want := post(socket, "http://workload")
	if status, got := post(http.DefaultClient, hub.WorkloadHTTPURI()); status != 200 || got["digest"] != want["digest"] || want["digest"] == "" {
		t.Errorf("over HTTP: got %d %v, want %v as over the socket", status, got, want)
	}
	if err := hub.Faults().Put(faults.Rules{Workload: &faults.Workload{Status: 403}}); err != nil {
		t.Fatal(err)
	}
	bySocket, _ := post(socket, "http://workload")
	byHTTP, _ := post(http.DefaultClient, hub.WorkloadHTTPURI())
	if bySocket != 403 || byHTTP != 403 {
		t.Errorf("with a fault: status %d over the socket, %d over HTTP; want 403 over both", bySocket, byHTTP)
	}
}

func TestMain_workloadHTTP(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stdout, writer := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		defer writer.CloseWithError(io.EOF)
		code <- runCommand(ctx, []string{
			"serve", "--state", newDir(t), "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--workload", "127.0.0.1:0",
		}, writer, &stderr)
	}()
	var names, uri string
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		name, value, _ := strings.Cut(lines.Text(), "=")
		names += name + " "
		if name == "WORKLOAD_HTTP_URI" {
			uri = strings.Trim(value, "'")
		}
	}
	if want := "HUB_CONNECTION_STRING CA_FILE WORKLOAD_URI WORKLOAD_HTTP_URI HTTPS MQTT "; names != want {
		t.Errorf("lines %s, want %s", names, want)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	response, err := http.Get(uri + "/trust-bundle?api-version=2018-06-28")
	if err != nil {
		t.Error(err)
	} else {
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("status %d, want 200", response.StatusCode)
		}
	}
	stop()
	for lines.Scan() {
		t.Errorf("a line after ready: %s", lines.Text())
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0; stderr:\n%s", got, stderr.String())
	}
}

func TestStart_workloadPortTaken(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	other, err := hubemulator.Start(hubemulator.Options{Dir: newDir(t), WorkloadHTTP: hub.MQTTAddr()})
	if err == nil {
		closeHub(t, other)
		t.Fatal("started")
	}
	if want := "listen for the workload API: " + hub.MQTTAddr() + " is taken, stop"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	if hub.WorkloadHTTPURI() != "" {
		t.Error("the workload API has an HTTP address without the option")
	}
}
