package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// loginFor is how long the address of the page logs in, the longest that the gateway allows. It does so once.
const loginFor = time.Hour

// pageURL returns the address of the page. Its fragment is a login for one use; browsers send no
// fragment to a server.
func (d *demo) pageURL(ctx context.Context) (string, error) {
	body, err := json.Marshal(map[string]int{"seconds": int(loginFor.Seconds())})
	if err != nil {
		return "", err
	}
	address := "http://" + d.page + "/"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"api/logins", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+d.files.admin)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	var login struct {
		Code string `json:"code"`
	}
	if answer.StatusCode/100 != 2 {
		return "", refusal(answer, nil)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&login); err != nil || login.Code == "" {
		return "", fmt.Errorf("the gateway's login for the page: %w", err)
	}
	return address + "#login=" + login.Code, nil
}
