package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
)

// pageSize is the number of items per page of a query. Twins may be large.
const pageSize = 100

const continuation = "x-ms-continuation"

// Query runs a query in IoT Hub's language ("IoT Hub query language for device and
// module twins, jobs, and message routing") and yields the items. It requests the next
// page when the caller needs it. The first error ends the sequence; for an unsupported
// query it is an *Error with status 400. ctx bounds the whole sequence.
func (c *Client) Query(ctx context.Context, query string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		token := ""
		for {
			page, next, err := c.QueryPage(ctx, query, token)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

// QueryPage requests the page of a query with a continuation token, or the first page if
// token is empty. next is the token of the following page, empty after the last. For callers
// that send a request again which the hub throttled (status 429); others use Query.
func (c *Client) QueryPage(ctx context.Context, query, token string) (items []json.RawMessage, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	header := http.Header{"X-Ms-Max-Item-Count": {strconv.Itoa(pageSize)}}
	if token != "" {
		header.Set(continuation, token)
	}
	r := request{method: http.MethodPost, path: "/devices/query", header: header, body: map[string]string{"query": query}}
	answered, err := c.do(ctx, r, &items)
	if err != nil {
		return nil, "", fmt.Errorf("query: %w", err)
	}
	next = answered.Get(continuation)
	if next != "" && next == token {
		return nil, "", fmt.Errorf("the hub %s returns the same page for ever", c.host)
	}
	return items, next, nil
}
