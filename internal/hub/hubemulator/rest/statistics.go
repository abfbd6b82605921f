package rest

import "net/http"

// deviceStatistics and serviceStatistics count devices, not modules (Microsoft, "Azure
// IoT Hub REST API", Statistics).
type deviceStatistics struct {
	Total    int `json:"totalDeviceCount"`
	Enabled  int `json:"enabledDeviceCount"`
	Disabled int `json:"disabledDeviceCount"`
}

type serviceStatistics struct {
	Connected int `json:"connectedDeviceCount"`
}

func (a *api) countDevices(w http.ResponseWriter, r *http.Request) {
	var s deviceStatistics
	for _, device := range a.Store.Devices() {
		s.Total++
		if device.Disabled {
			s.Disabled++
		}
	}
	s.Enabled = s.Total - s.Disabled
	a.answerPersisted(w, r, s)
}

func (a *api) countConnected(w http.ResponseWriter, r *http.Request) {
	var s serviceStatistics
	for _, device := range a.Store.Devices() {
		if device.Connected {
			s.Connected++
		}
	}
	a.answerPersisted(w, r, s)
}
