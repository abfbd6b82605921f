package gatewayctl

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/name"
)

func tokenCommand() *cli.Command {
	return &cli.Command{Name: "token", Brief: "static tokens", Commands: []*cli.Command{{
		Name: "new", Brief: "make a token, and its entry for the configuration file",
		Detail: `It writes the token and an entry for access.tokens, which has the token's SHA-256. The
gateway needs the entry alone; only the user of the token keeps the token. Nothing is
stored or sent.
`,
		Define: newToken,
	}}}
}

// texts is a flag that may be repeated.
type texts []string

func (t *texts) String() string { return strings.Join(*t, ",") }

func (t *texts) Set(value string) error {
	*t = append(*t, value)
	return nil
}

// made is the JSON of a new token.
type made struct {
	Token string `json:"token"`
	Entry entry  `json:"entry"`
}

// entry is a token in the configuration file.
type entry struct {
	Name    string   `json:"name"`
	Role    string   `json:"role"`
	Cameras []string `json:"cameras,omitempty"`
	SHA256  string   `json:"sha256"`
	Expires string   `json:"expires,omitempty"`
}

func newToken(flags *flag.FlagSet) cli.Action {
	var cameras texts
	account := flags.String("name", "viewer", "the token's `NAME`: the user name in RTSP (viewer)")
	role := flags.String("role", "viewer", "`ROLE`: admin or viewer (viewer)")
	flags.Var(&cameras, "camera", "cameras of a viewer, as a `GLOB` such as edge1/*; may be repeated (all)")
	expires := flags.String("expires", "", "the token's last `TIME` in RFC 3339, or a number of days as 30d (never)")
	asJSON := flags.Bool("json", false, "write JSON, for programs")
	return func(_ context.Context, call *cli.Call) error {
		e := entry{Name: *account, Role: *role, Cameras: cameras}
		if e.Role == string(access.Viewer) && len(e.Cameras) == 0 {
			e.Cameras = []string{"*"}
		}
		if err := e.check(*expires); err != nil {
			return cli.Usage(err)
		}
		token, hash := access.Generate()
		e.SHA256 = hash.String()
		if *asJSON {
			return call.PrintJSON(made{token, e})
		}
		return call.Print("token, for its user:\n  " + token + "\nentry for access.tokens in the gateway's file:\n  " + e.yaml() + "\n")
	}
}

func (e *entry) check(expires string) error {
	if !name.IsLabel(e.Name) {
		return fmt.Errorf("--name %.80q: a name has 1 to 64 letters, digits, '_' or '-'", e.Name)
	}
	if e.Role != string(access.Admin) && e.Role != string(access.Viewer) {
		return fmt.Errorf("--role %.80q is neither admin nor viewer", e.Role)
	}
	for _, glob := range e.Cameras {
		if err := name.CheckGlob(glob); err != nil {
			return fmt.Errorf("--camera %.80q: %w", glob, err)
		}
	}
	if expires == "" {
		return nil
	}
	until, err := expiry(expires)
	e.Expires = until.UTC().Format(time.RFC3339)
	return err
}

// expiry reads a time, or a number of days from now.
func expiry(text string) (time.Time, error) {
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.Atoi(digits)
		const most = 36500
		if err != nil || days < 1 || days > most {
			return time.Time{}, fmt.Errorf("--expires %.80q: want 1d to %dd", text, most)
		}
		return time.Now().AddDate(0, 0, days), nil
	}
	until, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return until, fmt.Errorf("--expires %.80q is neither a time such as 2030-01-31T12:00:00Z nor a number of days such as 30d", text)
	}
	if until.Before(time.Now()) {
		return until, fmt.Errorf("--expires %.80q is in the past", text)
	}
	return until, nil
}

// yaml returns the entry as one line of YAML.
func (e *entry) yaml() string {
	text := "- { name: " + e.Name + ", role: " + e.Role
	if len(e.Cameras) > 0 {
		quoted := make([]string, len(e.Cameras))
		for i, glob := range e.Cameras {
			quoted[i] = "'" + strings.ReplaceAll(glob, "'", "''") + "'"
		}
		text += ", cameras: [" + strings.Join(quoted, ", ") + "]"
	}
	text += ", sha256: '" + e.SHA256 + "'"
	if e.Expires != "" {
		text += ", expires: " + e.Expires
	}
	return text + " }"
}
