package rest

import (
	"fmt"
	"net/http"
	"strings"

	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file counts the metrics of configurations at each request; IoT Hub counts every
// five minutes. The texts of the system queries are IoT Hub's.

// metricQuery is a query and the place of its result.
type metricQuery struct {
	query   *query.Query
	results map[string]int64
	name    string
}

// configurationDocuments returns the JSON forms of configurations with their metrics. It
// counts all metrics in one pass over the twins.
func (a *api) configurationDocuments(r *http.Request, list []store.Configuration) []configurationDocument {
	documents := make([]configurationDocument, len(list))
	var all []metricQuery
	for i, c := range list {
		documents[i] = newConfigurationDocument(c)
		for _, metrics := range []metricsDocument{documents[i].SystemMetrics, documents[i].Metrics} {
			for name, text := range metrics.Queries {
				metrics.Results[name] = 0
				if q, err := query.Parse(text); err == nil { // else the configuration was refused
					all = append(all, metricQuery{query: q, results: metrics.Results, name: name})
				}
			}
		}
	}
	a.countMetrics(r, all)
	return documents
}

// countMetrics stops when the client disconnects.
func (a *api) countMetrics(r *http.Request, all []metricQuery) {
	for _, from := range []query.Collection{query.Devices, query.Modules} {
		var some []metricQuery
		for _, c := range all {
			if c.query.From == from {
				some = append(some, c)
			}
		}
		if len(some) == 0 {
			continue
		}
		for twin := range a.Store.Twins(store.ID{}, from == query.Modules) {
			if r.Context().Err() != nil {
				return
			}
			document := queryDocument(newTwinDocument(twin))
			for _, c := range some {
				if c.query.Matches(document) {
					c.results[c.name]++
				}
			}
		}
	}
}

func newConfigurationDocument(c store.Configuration) configurationDocument {
	return configurationDocument{
		ID:              c.ID,
		SchemaVersion:   c.SchemaVersion,
		Labels:          orEmpty(c.Labels),
		Content:         c.Content,
		TargetCondition: c.TargetCondition,
		Created:         c.Created,
		Updated:         c.Updated,
		Priority:        c.Priority,
		SystemMetrics:   metricsDocument{Results: map[string]int64{"targetedCount": 0}, Queries: systemQueries(c)},
		Metrics:         metricsDocument{Results: map[string]int64{}, Queries: orEmpty(c.Metrics)},
		ETag:            c.ETag(),
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func systemQueries(c store.Configuration) map[string]string {
	applied := fmt.Sprintf("select deviceId from devices.modules where moduleId = '$edgeAgent' and configurations.[[%s]].status = 'Applied'", c.ID)
	reported := applied + " and properties.desired.$version = properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code "
	queries := map[string]string{
		"appliedCount":            applied,
		"reportedSuccessfulCount": reported + "= 200",
		"reportedFailedCount":     reported + "!= 200",
	}
	const edge = "select deviceId from devices where capabilities.iotEdge = true"
	switch condition := strings.TrimSpace(c.TargetCondition); condition {
	case "": // targets no device, which no query expresses
	case "*":
		queries["targetedCount"] = edge
	default:
		queries["targetedCount"] = edge + " and (" + condition + ")"
	}
	return queries
}
