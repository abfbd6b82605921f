package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Configuration is an automatic deployment: content for all devices that meet a
// condition ("Understand IoT Edge automatic deployments").
type Configuration struct {
	// ID is in lower case.
	ID            string            `json:"id"`
	SchemaVersion string            `json:"schemaVersion,omitempty"` // "1.0" if empty
	Labels        map[string]string `json:"labels,omitempty"`
	// Content is {"modulesContent": ...}. It cannot be changed.
	Content json.RawMessage `json:"content"`
	// TargetCondition is nobody if empty, every device if "*".
	TargetCondition string  `json:"targetCondition"`
	Priority        int     `json:"priority"`
	Metrics         Metrics `json:"metrics"`

	// The hub alone writes what follows.
	SystemMetrics Metrics `json:"systemMetrics,omitzero"`
	Created       string  `json:"createdTimeUtc,omitempty"`
	Updated       string  `json:"lastUpdatedTimeUtc,omitempty"`
	ETag          string  `json:"etag,omitempty"`
}

// Metrics are queries by name, and how many rows they had when the hub last counted,
// which may be minutes ago.
type Metrics struct {
	Queries map[string]string `json:"queries,omitempty"`
	Results map[string]int64  `json:"results,omitempty"`
}

func configurationPath(id string) string { return "/configurations/" + url.PathEscape(id) }

// Configurations lists all configurations; a hub has 100 at most.
func (c *Client) Configurations(ctx context.Context) ([]Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var list []Configuration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: "/configurations"}, &list); err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	return list, nil
}

// Configuration reads one; that there is none is an *Error with status 404.
func (c *Client) Configuration(ctx context.Context, id string) (Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var answer Configuration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: configurationPath(id)}, &answer); err != nil {
		return Configuration{}, fmt.Errorf("read deployment %s: %w", id, err)
	}
	return answer, nil
}

// CreateConfiguration makes one and returns what came out. One that exists is an
// *Error with status 409.
func (c *Client) CreateConfiguration(ctx context.Context, wanted Configuration) (Configuration, error) {
	made, err := c.putConfiguration(ctx, wanted, nil)
	if err != nil {
		return Configuration{}, fmt.Errorf("create deployment %s: %w", wanted.ID, err)
	}
	return made, nil
}

// UpdateConfiguration replaces all but the content, if the etag is still wanted's; if
// that has none, whatever it is. Another etag is an *Error with status 412. The content
// must be sent along as it is: hubs have been seen to refuse another one, and to keep
// the old one without a word.
func (c *Client) UpdateConfiguration(ctx context.Context, wanted Configuration) (Configuration, error) {
	changed, err := c.putConfiguration(ctx, wanted, ifMatch(wanted.ETag))
	if err != nil {
		return Configuration{}, fmt.Errorf("change deployment %s: %w", wanted.ID, err)
	}
	return changed, nil
}

func (c *Client) putConfiguration(ctx context.Context, wanted Configuration, header http.Header) (Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	if wanted.SchemaVersion == "" {
		wanted.SchemaVersion = "1.0"
	}
	var answer Configuration
	_, err := c.do(ctx, request{method: http.MethodPut, path: configurationPath(wanted.ID), header: header, body: wanted}, &answer)
	return answer, err
}

// DeleteConfiguration removes one; etag is what its must be, any if empty. Devices that
// no other deployment targets keep what they have.
func (c *Client) DeleteConfiguration(ctx context.Context, id, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	if _, err := c.do(ctx, request{method: http.MethodDelete, path: configurationPath(id), header: ifMatch(etag)}, nil); err != nil {
		return fmt.Errorf("delete deployment %s: %w", id, err)
	}
	return nil
}

// ApplyContent brings a content, {"modulesContent": ...}, to one IoT Edge device. A
// device that is none, or a bad content, is an *Error with status 400.
func (c *Client) ApplyContent(ctx context.Context, device string, content json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	r := request{method: http.MethodPost, path: Identity{Device: device}.path("devices") + "/applyConfigurationContent", body: content}
	if _, err := c.do(ctx, r, nil); err != nil {
		return fmt.Errorf("apply to %s: %w", device, err)
	}
	return nil
}

// TestQueries has the hub judge a target condition and queries for metrics. It returns
// what is wrong with them, by name, and that of the condition by an empty name.
func (c *Client) TestQueries(ctx context.Context, targetCondition string, metrics map[string]string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	body := map[string]any{"targetCondition": targetCondition, "customMetricQueries": metrics}
	var answer struct {
		Target  string            `json:"targetConditionError"`
		Metrics map[string]string `json:"customMetricQueryErrors"`
	}
	if _, err := c.do(ctx, request{method: http.MethodPost, path: "/configurations/testQueries", body: body}, &answer); err != nil {
		return nil, fmt.Errorf("test queries: %w", err)
	}
	wrong := map[string]string{}
	for name, text := range answer.Metrics {
		if text != "" {
			wrong[name] = text
		}
	}
	if answer.Target != "" {
		wrong[""] = answer.Target
	}
	return wrong, nil
}
