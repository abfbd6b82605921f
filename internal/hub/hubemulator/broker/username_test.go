package broker_test

import (
	"testing"

	"rtsptunnel/internal/hub/hubemulator/broker"
)

func FuzzParseUserName(f *testing.F) {
	for _, seed := range []string{
		"hub.example/d1/m1/?api-version=2021-04-12&model-id=dtmi:example:Thing;1&DeviceClientType=a%2F1",
		"hub.example/d1/?api-version=2018-06-30",
		"hub.example/d1/m1/api-version=2018-06-30",
		"hub.example/d1/m1/x/?api-version=1",
		"/?api-version=1", "hub//?api-version=1", "hub/d/%zz?&=&&api-version", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, identity, ok := broker.ParseUserName(text)
		if ok && (host == "" || identity == "") {
			t.Errorf("parsed %q to host %q, identity %q", text, host, identity)
		}
	})
}
