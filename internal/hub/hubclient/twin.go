package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Twin is a device's or module's twin, as far as the project uses it.
type Twin struct {
	ETag       string          `json:"etag"`
	ModelID    string          `json:"modelId"`
	Tags       json.RawMessage `json:"tags"`
	Properties struct {
		Desired  json.RawMessage `json:"desired"`
		Reported json.RawMessage `json:"reported"`
	} `json:"properties"`

	// Document is the whole twin, as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the document besides the fields.
func (t *Twin) UnmarshalJSON(document []byte) error {
	type fields Twin // without this method
	if err := json.Unmarshal(document, (*fields)(t)); err != nil {
		return err
	}
	t.Document = append(json.RawMessage(nil), document...)
	return nil
}

// Twin reads a twin.
func (c *Client) Twin(ctx context.Context, id Identity) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	var t Twin
	if _, err := c.do(ctx, request{method: http.MethodGet, path: id.path("twins")}, &t); err != nil {
		return Twin{}, fmt.Errorf("read twin of %s: %w", id, err)
	}
	return t, nil
}

// TwinUpdate is a change of what the service owns of a twin.
type TwinUpdate struct {
	// Desired and Tags are JSON objects; a section that is nil stays as it is. They
	// are merged into the twin's, where null deletes, unless Replace is set.
	Desired, Tags json.RawMessage
	Replace       bool
	// ETag is what the twin's must be; any if empty.
	ETag string
}

// UpdateTwin changes a twin and returns what came out. A twin of another etag is an
// *Error with status 412.
func (c *Client) UpdateTwin(ctx context.Context, id Identity, u TwinUpdate) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	method := http.MethodPatch
	if u.Replace {
		method = http.MethodPut
		var err error
		if u, err = c.whole(ctx, id, u); err != nil {
			return Twin{}, err
		}
	}
	r := request{method: method, path: id.path("twins"), header: ifMatch(u.ETag), body: u.document()}
	var t Twin
	if _, err := c.do(ctx, r, &t); err != nil {
		return Twin{}, fmt.Errorf("change twin of %s: %w", id, err)
	}
	return t, nil
}

// PatchDesired merges patch into a twin's desired properties (null deletes), whatever
// its version, and returns the twin that came out.
func (c *Client) PatchDesired(ctx context.Context, id Identity, patch json.RawMessage) (Twin, error) {
	return c.UpdateTwin(ctx, id, TwinUpdate{Desired: patch})
}

func (u TwinUpdate) document() map[string]any {
	document := map[string]any{}
	if u.Tags != nil {
		document["tags"] = u.Tags
	}
	if u.Desired != nil {
		document["properties"] = map[string]any{"desired": u.Desired}
	}
	return document
}

// whole fills in the section that a replacement leaves out with what the twin has,
// and makes it depend on just that twin. What a hub does to a section that a
// replacement does not name is not documented.
func (c *Client) whole(ctx context.Context, id Identity, u TwinUpdate) (TwinUpdate, error) {
	if u.Desired != nil && u.Tags != nil {
		return u, nil
	}
	t, err := c.Twin(ctx, id)
	if err != nil {
		return TwinUpdate{}, err
	}
	if u.Desired == nil {
		u.Desired = withoutMarks(t.Properties.Desired)
	}
	if u.Tags == nil {
		u.Tags = t.Tags
	}
	if u.ETag == "" {
		u.ETag = t.ETag
	}
	return u, nil
}

// withoutMarks leaves out what the hub adds to a section: $version and $metadata.
func withoutMarks(section json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(section, &members) != nil {
		return section // the hub will say what is wrong with it
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "$") })
	b, err := json.Marshal(members)
	if err != nil {
		return section
	}
	return b
}
