package hubctl

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"net"
	"strings"
	"time"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubclient"
)

func deviceVerbs() []*cli.Command {
	return []*cli.Command{
		verb(cli.Command{Name: "add", Args: "ID", Brief: "create a device, with keys unless it has certificates"}, defineDeviceAdd),
		verb(cli.Command{Name: "list", Brief: "list all devices"},
			func(j *job, _ *flag.FlagSet) action { return j.listDevices }),
		verb(cli.Command{Name: "show", Args: "ID", Brief: "show a device's entry in the registry, without its keys"},
			func(j *job, flags *flag.FlagSet) action { return defineShow(j, flags, parseDevice) }),
		verb(cli.Command{Name: "rm", Args: "ID", Brief: "remove a device and its modules"},
			func(j *job, _ *flag.FlagSet) action { return j.removeAction(parseDevice) }),
	}
}

func moduleVerbs() []*cli.Command {
	return []*cli.Command{
		verb(cli.Command{Name: "add", Args: "DEVICE/MODULE", Brief: "create a module of a device, with keys"}, defineModuleAdd),
		verb(cli.Command{Name: "list", Args: "DEVICE", Brief: "list the modules of a device"},
			func(j *job, _ *flag.FlagSet) action { return j.listModules }),
		verb(cli.Command{Name: "show", Args: "DEVICE/MODULE", Brief: "show a module's entry in the registry, without its keys"},
			func(j *job, flags *flag.FlagSet) action { return defineShow(j, flags, parseModule) }),
		verb(cli.Command{Name: "rm", Args: "DEVICE/MODULE", Brief: "remove a module"},
			func(j *job, _ *flag.FlagSet) action { return j.removeAction(parseModule) }),
	}
}

func defineDeviceAdd(j *job, flags *flag.FlagSet) action {
	var device deviceFlags
	edge := flags.Bool("edge", false, "create an IoT Edge device")
	disabled := flags.Bool("disabled", false, "create the device disabled: it cannot connect")
	flags.StringVar(&device.auth, "auth", "sas", "`HOW` the device logs in: sas, selfSigned or ca (sas)")
	flags.Func("thumbprint", "digest of the device's certificate in `HEX`, for selfSigned; may be given twice", device.addThumbprint)
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parseDevice(j.Args[0])
		if err != nil {
			return err
		}
		r := hubclient.Registration{DeviceID: id.Device, Status: hubclient.StatusEnabled, Capabilities: &hubclient.Capabilities{IoTEdge: *edge}}
		if *disabled {
			r.Status = hubclient.StatusDisabled
		}
		if r.Authentication, err = device.authentication(); err != nil {
			return err
		}
		return j.add(ctx, r, secret)
	}
}

func defineModuleAdd(j *job, flags *flag.FlagSet) action {
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parseModule(j.Args[0])
		if err != nil {
			return err
		}
		r := hubclient.Registration{DeviceID: id.Device, ModuleID: id.Module, Authentication: hubclient.Authentication{Type: hubclient.AuthSAS}}
		return j.add(ctx, r, secret)
	}
}

func (j *job) add(ctx context.Context, r hubclient.Registration, secret *secretFlags) error {
	if err := secret.check(j); err != nil {
		return err
	}
	hub, err := j.hub()
	if err != nil {
		return err
	}
	made, err := hub.Register(ctx, r)
	if err != nil {
		return err
	}
	return j.printRegistration(made, secret)
}

func defineShow(j *job, flags *flag.FlagSet, parse func(string) (hubclient.Identity, error)) action {
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parse(j.Args[0])
		if err != nil {
			return err
		}
		if err := secret.check(j); err != nil {
			return err
		}
		hub, err := j.hub()
		if err != nil {
			return err
		}
		r, err := hub.Registration(ctx, id)
		if err != nil {
			return err
		}
		return j.printRegistration(r, secret)
	}
}

func (j *job) removeAction(parse func(string) (hubclient.Identity, error)) action {
	return func(ctx context.Context) error {
		id, err := parse(j.Args[0])
		if err != nil {
			return err
		}
		hub, err := j.hub()
		if err != nil {
			return err
		}
		if err := hub.Unregister(ctx, id, ""); err != nil {
			return err
		}
		if j.json {
			return nil
		}
		return j.Print("removed " + id.String() + "\n")
	}
}

func (j *job) listDevices(ctx context.Context) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	devices, err := hub.Devices(ctx)
	if err != nil {
		return err
	}
	header := []string{"DEVICE", "STATUS", "CONNECTION", "AUTH", "EDGE", "LAST ACTIVITY"}
	return j.printList(devices, header, func(r hubclient.Registration) []string {
		return []string{r.DeviceID, r.Status, r.ConnectionState, r.Authentication.Type, yesNo(r.IsEdge()), shortTime(r.LastActivity)}
	})
}

func (j *job) listModules(ctx context.Context) error {
	id, err := parseDevice(j.Args[0])
	if err != nil {
		return err
	}
	hub, err := j.hub()
	if err != nil {
		return err
	}
	modules, err := hub.Modules(ctx, id.Device)
	if err != nil {
		return err
	}
	return j.printList(modules, []string{"MODULE", "CONNECTION", "AUTH", "LAST ACTIVITY"}, func(r hubclient.Registration) []string {
		return []string{r.ID().String(), r.ConnectionState, r.Authentication.Type, shortTime(r.LastActivity)}
	})
}

func (j *job) printList(list []hubclient.Registration, header []string, row func(hubclient.Registration) []string) error {
	if j.json {
		shown := make([]hubclient.Registration, 0, len(list)) // [], not null, if empty
		for _, r := range list {
			shown = append(shown, r.WithoutKeys())
		}
		return j.PrintJSON(shown)
	}
	rows := [][]string{header}
	for _, r := range list {
		rows = append(rows, row(r))
	}
	return j.Print(cli.Table(rows))
}

// printRegistration writes an entry of the registry or, if the user asks for it, its
// connection string alone.
func (j *job) printRegistration(r hubclient.Registration, secret *secretFlags) error {
	if secret.wanted {
		return j.printConnectionString(r, secret)
	}
	if j.json {
		return j.PrintJSON(r.WithoutKeys())
	}
	rows := [][]string{{"device", r.DeviceID}}
	if r.ModuleID != "" {
		rows = append(rows, []string{"module", r.ModuleID})
	} else {
		rows = append(rows, []string{"status", r.Status}, []string{"edge", yesNo(r.IsEdge())})
	}
	rows = append(rows,
		[]string{"authentication", r.Authentication.Type},
		[]string{"connection", r.ConnectionState},
		[]string{"last activity", shortTime(r.LastActivity)},
		[]string{"generation", r.GenerationID},
		[]string{"etag", r.ETag})
	return j.Print(cli.Table(rows))
}

func (j *job) printConnectionString(r hubclient.Registration, secret *secretFlags) error {
	host := secret.hostName
	if host == "" {
		host = j.client.Host()
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name // devices connect to other ports
		}
	}
	text, err := r.ConnectionString(host, secret.gateway)
	if err != nil {
		return err
	}
	return j.Print(text + "\n")
}

// secretFlags are about writing a connection string, which is a secret.
type secretFlags struct {
	wanted            bool
	gateway, hostName string
}

func defineSecret(flags *flag.FlagSet) *secretFlags {
	var f secretFlags
	flags.BoolVar(&f.wanted, "connection-string", false, "write its connection string, which is a secret, and nothing else")
	flags.StringVar(&f.gateway, "gateway", "", "`NAME` of the edge device, for GatewayHostName in the connection string")
	flags.StringVar(&f.hostName, "hostname", "", "`NAME` of the hub in the connection string, if devices know the hub by another name (serve --hostname)")
	return &f
}

func (f *secretFlags) check(j *job) error {
	switch {
	case !f.wanted && (f.gateway != "" || f.hostName != ""):
		return cli.Usagef("--gateway and --hostname go with --connection-string")
	case f.wanted && j.json:
		return cli.Usagef("--connection-string and --json exclude each other")
	}
	return nil
}

// deviceFlags say how a device logs in.
type deviceFlags struct {
	auth        string
	thumbprints []string
}

// addThumbprint accepts hex with and without the colons that openssl writes.
func (f *deviceFlags) addThumbprint(text string) error {
	const sha1Size, sha256Size = 20, 32
	digest, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(digest) != sha1Size && len(digest) != sha256Size {
		return errors.New("want a SHA-1 or SHA-256 digest in hex")
	}
	f.thumbprints = append(f.thumbprints, strings.ToUpper(hex.EncodeToString(digest)))
	return nil
}

func (f *deviceFlags) authentication() (hubclient.Authentication, error) {
	const maxThumbprints = 2
	n := len(f.thumbprints)
	switch {
	case f.auth != "selfSigned" && n > 0:
		return hubclient.Authentication{}, cli.Usagef("--thumbprint goes with --auth selfSigned")
	case f.auth == "sas":
		return hubclient.Authentication{Type: hubclient.AuthSAS}, nil
	case f.auth == "ca":
		return hubclient.Authentication{Type: hubclient.AuthAuthority}, nil
	case f.auth != "selfSigned":
		return hubclient.Authentication{}, cli.Usagef("--auth must be sas, selfSigned or ca")
	case n == 0 || n > maxThumbprints:
		return hubclient.Authentication{}, cli.Usagef("--auth selfSigned needs one --thumbprint, or two")
	}
	t := &hubclient.Thumbprint{Primary: f.thumbprints[0]}
	if n == maxThumbprints {
		t.Secondary = f.thumbprints[1]
	}
	return hubclient.Authentication{Type: hubclient.AuthSelfSigned, Thumbprint: t}, nil
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shortTime shortens a time that the hub sent. A time without a zone is UTC.
func shortTime(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	switch {
	case err != nil:
		return text
	case t.Year() <= 1:
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
