package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// Twin is a device's or module's twin, with the fields that the project uses.
type Twin struct {
	ETag       string          `json:"etag"`
	ModelID    string          `json:"modelId"`
	Tags       json.RawMessage `json:"tags"`
	Properties struct {
		Desired  json.RawMessage `json:"desired"`
		Reported json.RawMessage `json:"reported"`
	} `json:"properties"`

	// Document is the whole twin as the hub sent it.
	Document json.RawMessage `json:"-"`
}

// UnmarshalJSON decodes the fields and copies the document.
func (t *Twin) UnmarshalJSON(document []byte) error {
	type fields Twin // without this method
	if err := json.Unmarshal(document, (*fields)(t)); err != nil {
		return err
	}
	t.Document = append(json.RawMessage(nil), document...)
	return nil
}

// Twin returns a twin.
func (c *Client) Twin(ctx context.Context, id Identity) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var t Twin
	if _, err := c.do(ctx, request{method: http.MethodGet, path: id.path("twins")}, &t); err != nil {
		return Twin{}, fmt.Errorf("read twin of %s: %w", id, err)
	}
	return t, nil
}

// TwinUpdate is a change of a twin's desired properties and tags.
type TwinUpdate struct {
	// Desired and Tags are JSON objects. The hub merges them into the twin, where null
	// deletes; if Replace is set, it replaces the sections. A nil section does not change.
	Desired, Tags json.RawMessage
	Replace       bool
	// ETag makes the update depend on the twin's etag; an empty one matches any.
	ETag string
}

// UpdateTwin changes a twin and returns the new twin. If the etag differs, the error is an
// *Error with status 412.
func (c *Client) UpdateTwin(ctx context.Context, id Identity, u TwinUpdate) (Twin, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	method := http.MethodPatch
	if u.Replace {
		method = http.MethodPut
		var err error
		if u, err = c.withBothSections(ctx, id, u); err != nil {
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

// PatchDesired merges patch into a twin's desired properties (null deletes) and returns
// the new twin. It does not depend on the twin's version.
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

// withBothSections adds the section that a replacement leaves out, as the twin has it, and
// makes the update depend on that twin's etag. It is not documented what a hub does with a
// section that a replacement leaves out.
func (c *Client) withBothSections(ctx context.Context, id Identity, u TwinUpdate) (TwinUpdate, error) {
	if u.Desired != nil && u.Tags != nil {
		return u, nil
	}
	t, err := c.Twin(ctx, id)
	if err != nil {
		return TwinUpdate{}, err
	}
	if u.Desired == nil {
		u.Desired = withoutSystemProperties(t.Properties.Desired)
	}
	if u.Tags == nil {
		u.Tags = t.Tags
	}
	if u.ETag == "" {
		u.ETag = t.ETag
	}
	return u, nil
}

// withoutSystemProperties removes the members that the hub adds to a section: $version and
// $metadata.
func withoutSystemProperties(section json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(section, &members) != nil {
		return section // the hub refuses it with a reason
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "$") })
	b, err := json.Marshal(members)
	if err != nil {
		return section
	}
	return b
}
