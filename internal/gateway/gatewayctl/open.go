package gatewayctl

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/name"
)

const openDetail = `It asks each hop between the gateway and the camera's first picture, with the time that each
one took, and stops at the broken one. NAME is DEVICE/CAMERA, with /STREAM for another
stream than main, or a video's name. Where no gateway runs, it listens on the public
listeners for the camera's tunnel. A running gateway is asked by its API at publicURL, for
which --token-file names an admin's token.
`

func openCommand(environ []string) *cli.Command {
	return &cli.Command{
		Name: "open", Args: "NAME", Brief: "open one tunnel to a camera, hop by hop, and close it", Detail: openDetail,
		Define: func(flags *flag.FlagSet) cli.Action {
			file := configFlag(flags)
			var o opening
			o.flags(flags)
			asJSON := flags.Bool("json", false, "write JSON, for programs")
			return func(ctx context.Context, call *cli.Call) error {
				c, err := config.Load(config.Options{File: *file, Environ: environ})
				if err != nil {
					return err
				}
				result, err := o.diagnose(ctx, c, call.Args[0])
				if err != nil {
					return err
				}
				return printDiagnosis(call, result, *asJSON)
			}
		},
	}
}

// opening says how a running gateway is asked.
type opening struct{ tokenFile, caFile string }

func (o *opening) flags(flags *flag.FlagSet) {
	flags.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the token of an admin, to ask a running gateway")
	flags.StringVar(&o.caFile, "ca-file", "", "`FILE` with certificates (PEM) of authorities to trust for publicURL in addition to the system's")
}

// diagnose diagnoses a camera here, or asks the running gateway.
func (o *opening) diagnose(ctx context.Context, c *config.Config, camera string) (diagnose.Result, error) {
	result, err := gateway.Diagnose(ctx, c, camera)
	if !errors.Is(err, gateway.ErrRunning) {
		return result, err
	}
	if o.tokenFile == "" || c.PublicURL == "" {
		return result, fmt.Errorf("%w: name the token of an admin by --token-file, so that it can be asked", err)
	}
	return o.ask(ctx, c.PublicURL, camera)
}

const (
	askTimeout = 3 * time.Minute // a diagnosis has a bound for each hop
	maxAnswer  = 1 << 20         // bytes
)

// ask asks a running gateway.
func (o *opening) ask(ctx context.Context, publicURL, camera string) (result diagnose.Result, err error) {
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return result, fmt.Errorf("--token-file: %w", err)
	}
	transport, err := o.transport()
	if err != nil {
		return result, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, publicURL+"/api/cameras/"+name.Escape(camera)+":diagnose", nil)
	if err != nil {
		return result, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := transport.RoundTrip(request)
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](err); untrusted {
		return result, errors.New("ask the gateway: no authority that this machine trusts signed its certificate; --ca-file names others")
	}
	if err != nil {
		return result, fmt.Errorf("ask the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return result, fmt.Errorf("ask the gateway: %w", err)
	}
	return result, decode(response.StatusCode, body, &result)
}

// decode reads the gateway's answer: a diagnosis, or a problem document.
func decode(status int, body []byte, result *diagnose.Result) error {
	if status == http.StatusOK {
		return json.Unmarshal(body, result)
	}
	var problem struct{ Reason, Message string }
	if json.Unmarshal(body, &problem) != nil || problem.Reason == "" {
		return fmt.Errorf("the gateway at publicURL answers with status %d: check which program answers there", status)
	}
	return fmt.Errorf("%s (%s)", problem.Message, problem.Reason)
}

func (o *opening) transport() (*http.Transport, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if o.caFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(o.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the machine trusts no authority
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("--ca-file: the file holds no certificate in PEM")
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// printDiagnosis writes a line for each hop. Its error is ErrReported if one is broken.
func printDiagnosis(call *cli.Call, r diagnose.Result, asJSON bool) error {
	var err error
	if asJSON {
		err = call.PrintJSON(r)
	} else {
		rows := make([][]string, len(r.Steps))
		for i, s := range r.Steps {
			rows[i] = hopRow(s)
		}
		err = call.Print(cli.Table(rows))
	}
	if err == nil && !r.OK {
		err = cli.ErrReported
	}
	return err
}

func hopRow(s diagnose.Step) []string {
	state, text := string(gateway.OK), s.Message
	if !s.OK {
		state = string(gateway.Failed)
		text += " (" + string(s.Reason) + ")"
	}
	if s.Advice != "" {
		text += ": " + s.Advice
	}
	return []string{state, string(s.Hop), strconv.FormatFloat(s.Millis, 'f', 1, 64) + " ms", text}
}
