package fleet_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/url"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/testkit/hubtest"
)

// A module announces its model when it logs in. While it is connected, its reports say how
// its cameras are; after that, since when it is not connected.
func TestReport_ofAConnectedModule(t *testing.T) {
	s := newSite(t, fleet.Options{})
	s.desired(t, "edge1", "rtsptunnel", `{"front":{"host":"h"},"yard":{"host":"h","localPort":5}}`)
	s.refresh(t)
	if n := len(s.Cameras()); n != 0 {
		t.Errorf("%d cameras of a module without the model", n)
	}
	client := login(t, s.hub)
	token := client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 1, false,
		`{"state":"degraded","cameraStatus":{"front":{"localPort":554,"state":"unreachable","since":"2026-11-30T01:00:00Z","open":1,"lastReason":"CAM_REFUSED"}}}`)
	if !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	var front fleet.Camera
	s.await(t, func() bool { // the hub answers the report later
		s.refresh(t)
		front, _, _ = s.Lookup("edge1/front")
		return front.Report.State != ""
	})
	r := front.Report
	if !r.Known || !r.Connected || r.Module != "degraded" || r.State != "unreachable" || r.LastReason != reason.CameraRefused || r.OpenTunnels != 1 || r.StateSince.Hour() != 1 {
		t.Errorf("%+v", r)
	}
	client.Disconnect(0)
	before := time.Now()
	s.await(t, func() bool {
		s.refresh(t)
		front, _, _ = s.Lookup("edge1/front")
		return !front.Report.Connected
	})
	if f := front.Trouble(); f == nil || f.Reason != reason.ModuleOffline || f.Since.Before(before) {
		t.Errorf("%+v", f)
	}
	since := front.Report.Since
	s.refresh(t)
	if front, _, _ = s.Lookup("edge1/front"); !front.Report.Since.Equal(since) {
		t.Errorf("since %v, then %v", since, front.Report.Since)
	}
}

// login connects as the hub's module.
func login(t *testing.T, hub *hubtest.Hub) paho.Client {
	t.Helper()
	registration, err := hub.Client.Registration(t.Context(), hub.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(registration.Authentication.SymmetricKey.Primary)
	if err != nil {
		t.Fatal(err)
	}
	resource, expiry := url.QueryEscape(hubtest.HubName+"/devices/"+hub.ID.Device+"/modules/"+hub.ID.Module), time.Now().Add(time.Hour).Unix()
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s\n%d", resource, expiry)
	o := paho.NewClientOptions().AddBroker("ssl://" + hub.MQTTAddr()).SetClientID(hub.ID.Device + "/" + hub.ID.Module).SetAutoReconnect(false).
		SetTLSConfig(&tls.Config{RootCAs: hub.CA().Pool(), ServerName: hubtest.HubName}).
		SetUsername(hubtest.HubName + "/" + hub.ID.Device + "/" + hub.ID.Module + "/?api-version=2021-04-12&model-id=" + url.PathEscape(tunnelopen.ModelID)).
		SetPassword(fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d", resource, url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))), expiry))
	client := paho.NewClient(o)
	if token := client.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}
