package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Twin is a device's or module's twin, as far as the project uses it.
type Twin struct {
	ETag       string `json:"etag"`
	ModelID    string `json:"modelId"`
	Properties struct {
		Desired  json.RawMessage `json:"desired"`
		Reported json.RawMessage `json:"reported"`
	} `json:"properties"`
}

// Twin reads a twin.
func (c *Client) Twin(ctx context.Context, id Identity) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var t Twin
	if err := c.do(ctx, http.MethodGet, id.path(), nil, nil, &t); err != nil {
		return Twin{}, fmt.Errorf("read twin of %s: %w", id, err)
	}
	return t, nil
}

// PatchDesired merges patch into a twin's desired properties (null deletes), whatever
// its version, and returns the twin that came out.
func (c *Client) PatchDesired(ctx context.Context, id Identity, patch json.RawMessage) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	body, err := json.Marshal(map[string]any{"properties": map[string]any{"desired": patch}})
	if err != nil {
		return Twin{}, fmt.Errorf("patch twin of %s: %w", id, err)
	}
	var t Twin
	header := http.Header{"If-Match": {`"*"`}}
	if err := c.do(ctx, http.MethodPatch, id.path(), header, body, &t); err != nil {
		return Twin{}, fmt.Errorf("patch twin of %s: %w", id, err)
	}
	return t, nil
}
