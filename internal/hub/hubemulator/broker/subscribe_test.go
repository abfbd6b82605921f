package broker_test

import (
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// granted subscribes and returns the code in SUBACK.
func granted(t *testing.T, client paho.Client, filter string, qos byte) byte {
	t.Helper()
	token := client.Subscribe(filter, qos, nil).(*paho.SubscribeToken)
	wait(t, token)
	return token.Result()[filter]
}

func TestSubscribe_codes(t *testing.T) {
	const refused = 0x80
	always := map[string]byte{
		methodsFilter: 0, twinFilter: 0, desiredFilter: 0,
		"#": refused, "$iothub/#": refused, "$iothub/methods/POST/+": refused, "$SYS/#": refused,
		"devices/#": refused, "devices/d1/modules/m2/#": refused, "devices/d1/modules/m2/inputs/#": refused,
		"devices/d1/modules/m1": refused, "devices/d1/modules/m1/inputs/a": refused, "devices/d1/#": refused,
		"devices/d1/modules/m1/messages/devicebound/#": refused, "devices/d2/messages/devicebound/#": refused,
		"devices/d1/inputs/#": refused,
	}
	own := map[store.ID]map[string]byte{
		device: {
			"devices/d1/messages/devicebound/#": 0,
			"devices/d1/modules/m1/#":           refused, "devices/d1/modules/m1/inputs/#": refused,
		},
		module: {
			"devices/d1/messages/devicebound/#": refused,
			"devices/d1/modules/m1/#":           0, "devices/d1/modules/m1/inputs/#": 0,
		},
	}
	e := start(t)
	for id, filters := range own {
		client := connect(t, e.options(t, id))
		for _, set := range []map[string]byte{always, filters} {
			for filter, want := range set {
				if got := granted(t, client, filter, 0); got != want {
					t.Errorf("%s subscribes to %s: SUBACK %#x, want %#x", id, filter, got, want)
				}
			}
		}
	}
}

func TestSubscribe_qos(t *testing.T) {
	client := connect(t, start(t).options(t, module))
	for _, filter := range []string{twinFilter, "devices/d1/modules/m1/inputs/#"} {
		for asked, want := range []byte{0, 1, 1} {
			if got := granted(t, client, filter, byte(asked)); got != want {
				t.Errorf("%s at %d: SUBACK %#x, want %#x", filter, asked, got, want)
			}
		}
	}
}
