package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Configuration is an automatic deployment: content for all devices that match a target
// condition ("Understand IoT Edge automatic deployments").
type Configuration struct {
	// ID has no upper-case letters.
	ID            string            `json:"id"`
	SchemaVersion string            `json:"schemaVersion,omitempty"` // "1.0" if empty
	Labels        map[string]string `json:"labels,omitempty"`
	// Content is {"modulesContent": ...}. An update cannot change it.
	Content json.RawMessage `json:"content"`
	// TargetCondition selects no device if empty, and every device if "*".
	TargetCondition string  `json:"targetCondition"`
	Priority        int     `json:"priority"`
	Metrics         Metrics `json:"metrics"`

	// Only the hub writes the fields below.
	SystemMetrics Metrics `json:"systemMetrics,omitzero"`
	Created       string  `json:"createdTimeUtc,omitempty"`
	Updated       string  `json:"lastUpdatedTimeUtc,omitempty"`
	ETag          string  `json:"etag,omitempty"`
}

// Metrics are queries by name, and the number of rows of each at the hub's last count,
// which may be minutes old.
type Metrics struct {
	Queries map[string]string `json:"queries,omitempty"`
	Results map[string]int64  `json:"results,omitempty"`
}

func configurationPath(id string) string { return "/configurations/" + url.PathEscape(id) }

// Configurations returns all configurations; a hub has 100 at most.
func (c *Client) Configurations(ctx context.Context) ([]Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var list []Configuration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: "/configurations"}, &list); err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	return list, nil
}

// Configuration returns the configuration with this ID. If there is none, the error is an
// *Error with status 404.
func (c *Client) Configuration(ctx context.Context, id string) (Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var answer Configuration
	if _, err := c.do(ctx, request{method: http.MethodGet, path: configurationPath(id)}, &answer); err != nil {
		return Configuration{}, fmt.Errorf("read deployment %s: %w", id, err)
	}
	return answer, nil
}

// CreateConfiguration creates a configuration and returns it as the hub stores it. If the
// ID exists, the error is an *Error with status 409.
func (c *Client) CreateConfiguration(ctx context.Context, wanted Configuration) (Configuration, error) {
	made, err := c.putConfiguration(ctx, wanted, nil)
	if err != nil {
		return Configuration{}, fmt.Errorf("create deployment %s: %w", wanted.ID, err)
	}
	return made, nil
}

// UpdateConfiguration replaces everything except the content, if the hub still has
// wanted's ETag; an empty ETag matches any. If the ETag differs, the error is an *Error
// with status 412. The caller sends the stored content unchanged: real hubs refuse other
// content or silently keep the stored one.
func (c *Client) UpdateConfiguration(ctx context.Context, wanted Configuration) (Configuration, error) {
	changed, err := c.putConfiguration(ctx, wanted, ifMatch(wanted.ETag))
	if err != nil {
		return Configuration{}, fmt.Errorf("change deployment %s: %w", wanted.ID, err)
	}
	return changed, nil
}

func (c *Client) putConfiguration(ctx context.Context, wanted Configuration, header http.Header) (Configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if wanted.SchemaVersion == "" {
		wanted.SchemaVersion = "1.0"
	}
	var answer Configuration
	_, err := c.do(ctx, request{method: http.MethodPut, path: configurationPath(wanted.ID), header: header, body: wanted}, &answer)
	return answer, err
}

// DeleteConfiguration deletes a configuration if the hub still has this etag; an empty one
// matches any. Devices that no other deployment targets keep their modules and properties.
func (c *Client) DeleteConfiguration(ctx context.Context, id, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := c.do(ctx, request{method: http.MethodDelete, path: configurationPath(id), header: ifMatch(etag)}, nil); err != nil {
		return fmt.Errorf("delete deployment %s: %w", id, err)
	}
	return nil
}

// ApplyContent applies a content, {"modulesContent": ...}, to one IoT Edge device. If the
// device is not an IoT Edge device, or the content is invalid, the error is an *Error with
// status 400.
func (c *Client) ApplyContent(ctx context.Context, device string, content json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r := request{method: http.MethodPost, path: Identity{Device: device}.path("devices") + "/applyConfigurationContent", body: content}
	if _, err := c.do(ctx, r, nil); err != nil {
		return fmt.Errorf("apply to %s: %w", device, err)
	}
	return nil
}

// TestQueries asks the hub to check a target condition and metric queries. It returns the
// hub's error texts by the metric's name; the empty name stands for the target condition.
func (c *Client) TestQueries(ctx context.Context, targetCondition string, metrics map[string]string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body := map[string]any{"targetCondition": targetCondition, "customMetricQueries": metrics}
	var answer struct {
		Target  string            `json:"targetConditionError"`
		Metrics map[string]string `json:"customMetricQueryErrors"`
	}
	if _, err := c.do(ctx, request{method: http.MethodPost, path: "/configurations/testQueries", body: body}, &answer); err != nil {
		return nil, fmt.Errorf("test queries: %w", err)
	}
	errorTexts := map[string]string{}
	for name, text := range answer.Metrics {
		if text != "" {
			errorTexts[name] = text
		}
	}
	if answer.Target != "" {
		errorTexts[""] = answer.Target
	}
	return errorTexts, nil
}
