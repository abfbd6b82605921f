package hubclient

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
)

// pageSize is how many items a query asks for at a time. Twins may be large.
const pageSize = 100

const continuation = "x-ms-continuation"

// Query runs a query in IoT Hub's language ("IoT Hub query language for device and
// module twins, jobs, and message routing") and yields the items, page after page as
// they are wanted. The first error ends it; a query the hub does not understand is an
// *Error with status 400. ctx bounds the whole.
func (c *Client) Query(ctx context.Context, query string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		token := ""
		for {
			page, next, err := c.page(ctx, query, token)
			if err != nil {
				yield(nil, fmt.Errorf("query: %w", err))
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

// page reads the page that token stands for, the first if it is empty. next stands
// for the one after it, and is empty after the last.
func (c *Client) page(ctx context.Context, query, token string) (items []json.RawMessage, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, slack)
	defer cancel()
	header := http.Header{"X-Ms-Max-Item-Count": {strconv.Itoa(pageSize)}}
	if token != "" {
		header.Set(continuation, token)
	}
	r := request{method: http.MethodPost, path: "/devices/query", header: header, body: map[string]string{"query": query}}
	answered, err := c.do(ctx, r, &items)
	if err != nil {
		return nil, "", err
	}
	next = answered.Get(continuation)
	if next != "" && next == token {
		return nil, "", fmt.Errorf("the hub %s gives the same page for ever", c.host)
	}
	return items, next, nil
}
