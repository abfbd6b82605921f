package rest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file implements configurations, which are automatic deployments (Microsoft, "Azure
// IoT Hub REST API", Configuration). Public issues are the source of two rules
// (MicrosoftDocs/azure-docs 94528, Azure/azure-iot-sdk-csharp 2419,
// Azure/azure-iot-sdk-python 983): the codes and texts for too many configurations and
// for invalid content; and that an If-Match without quotes is ignored, so that the
// response is 409. Microsoft documents that the content cannot change, and the error code
// for it. The authors of one public client saw IoT Hub respond with 200 and silently keep
// the old content.

// configurationDocument is the JSON form of a configuration.
type configurationDocument struct {
	ID              string            `json:"id"`
	SchemaVersion   string            `json:"schemaVersion"`
	Labels          map[string]string `json:"labels"`
	Content         json.RawMessage   `json:"content"`
	TargetCondition string            `json:"targetCondition"`
	Created         time.Time         `json:"createdTimeUtc"`
	Updated         time.Time         `json:"lastUpdatedTimeUtc"`
	Priority        int               `json:"priority"`
	SystemMetrics   metricsDocument   `json:"systemMetrics"`
	Metrics         metricsDocument   `json:"metrics"`
	ETag            string            `json:"etag"`
}

type metricsDocument struct {
	Results map[string]int64  `json:"results"`
	Queries map[string]string `json:"queries"`
}

// configurationRequest has the members that a service can set. Members that only the hub
// writes are ignored.
type configurationRequest struct {
	ID              string            `json:"id"`
	SchemaVersion   string            `json:"schemaVersion"`
	Labels          map[string]string `json:"labels"`
	Content         json.RawMessage   `json:"content"`
	TargetCondition string            `json:"targetCondition"`
	Priority        int               `json:"priority"`
	Metrics         struct {
		Queries map[string]string `json:"queries"`
	} `json:"metrics"`
}

func (a *api) handleConfigurations(mux *http.ServeMux) {
	mux.HandleFunc("GET /configurations", a.listConfigurations)
	mux.HandleFunc("GET /configurations/{configuration}", a.getConfiguration)
	mux.HandleFunc("PUT /configurations/{configuration}", a.putConfiguration)
	mux.HandleFunc("DELETE /configurations/{configuration}", a.deleteConfiguration)
	mux.HandleFunc("POST /configurations/testQueries", a.testQueries)
	mux.HandleFunc("POST /devices/{device}/applyConfigurationContent", a.applyContent)
}

func (a *api) listConfigurations(w http.ResponseWriter, r *http.Request) {
	list := a.Store.Configurations()
	if text := r.URL.Query().Get("top"); text != "" {
		top, err := strconv.Atoi(text)
		if err != nil || top < 1 {
			a.refuse(w, r, invalid("top must be a number from 1 up"))
			return
		}
		list = list[:min(top, len(list))]
	}
	a.answerPersisted(w, r, a.configurationDocuments(r, list))
}

func (a *api) getConfiguration(w http.ResponseWriter, r *http.Request) {
	c, err := a.Store.Configuration(r.PathValue("configuration"))
	a.answerConfiguration(w, r, c, err)
}

// putConfiguration updates a configuration if the request has a valid If-Match, and
// creates it otherwise.
func (a *api) putConfiguration(w http.ResponseWriter, r *http.Request) {
	c, err := readConfiguration(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if hasETag(r) {
		c, err = a.Rollout.Update(c, ifMatch(r))
	} else {
		c, err = a.Rollout.Create(c)
	}
	a.answerConfiguration(w, r, c, err)
}

// hasETag reports whether a request has an If-Match that is not ignored.
func hasETag(r *http.Request) bool {
	value := r.Header.Get("If-Match")
	return value == "*" || strings.HasPrefix(value, `"`)
}

func readConfiguration(w http.ResponseWriter, r *http.Request) (store.Configuration, error) {
	request := configurationRequest{SchemaVersion: "1.0"}
	if err := readJSON(w, r, &request); err != nil {
		return store.Configuration{}, err
	}
	id := r.PathValue("configuration")
	if request.ID != "" && request.ID != id {
		return store.Configuration{}, invalid("id in the body differs from the path")
	}
	return store.Configuration{
		ID:              id,
		SchemaVersion:   request.SchemaVersion,
		Labels:          request.Labels,
		Content:         request.Content,
		TargetCondition: request.TargetCondition,
		Priority:        request.Priority,
		Metrics:         request.Metrics.Queries,
	}, nil
}

func (a *api) answerConfiguration(w http.ResponseWriter, r *http.Request, c store.Configuration, err error) {
	if err == nil {
		err = a.persist(a.Store.Revision())
	}
	if err != nil {
		a.refuse(w, r, fromRollout(err, r.PathValue("configuration")))
		return
	}
	w.Header().Set("ETag", quote(c.ETag()))
	a.answer(w, http.StatusOK, a.configurationDocuments(r, []store.Configuration{c})[0])
}

func (a *api) deleteConfiguration(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("configuration")
	a.answerNoContent(w, r, a.Rollout.Delete(id, ifMatch(r)), id)
}

// applyContent implements "Apply On Edge Device".
func (a *api) applyContent(w http.ResponseWriter, r *http.Request) {
	var content json.RawMessage
	if err := readJSON(w, r, &content); err != nil {
		a.refuse(w, r, err)
		return
	}
	device := r.PathValue("device")
	a.answerNoContent(w, r, a.Rollout.Apply(device, content), device)
}

// answerNoContent persists the current state and responds without a body.
func (a *api) answerNoContent(w http.ResponseWriter, r *http.Request, err error, id string) {
	if err == nil {
		err = a.persist(a.Store.Revision())
	}
	if err != nil {
		a.refuse(w, r, fromRollout(err, id))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// testQueries responds with the errors of a target condition and of metric queries. The
// status is 200 with or without errors.
func (a *api) testQueries(w http.ResponseWriter, r *http.Request) {
	var request struct {
		TargetCondition string            `json:"targetCondition"`
		Metrics         map[string]string `json:"customMetricQueries"`
	}
	if err := readJSON(w, r, &request); err != nil {
		a.refuse(w, r, err)
		return
	}
	answer := struct {
		TargetCondition string            `json:"targetConditionError"`
		Metrics         map[string]string `json:"customMetricQueryErrors"`
	}{Metrics: map[string]string{}}
	if err := rollout.CheckTarget(request.TargetCondition); err != nil {
		answer.TargetCondition = err.Error()
	}
	for name, text := range request.Metrics {
		if err := rollout.CheckMetric(text); err != nil {
			answer.Metrics[name] = err.Error()
		}
	}
	a.answer(w, http.StatusOK, answer)
}
