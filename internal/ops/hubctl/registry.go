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
		verb(cli.Command{Name: "add", Args: "ID", Brief: "make a device, with keys unless it has certificates"}, defineDeviceAdd),
		verb(cli.Command{Name: "list", Brief: "list all devices"},
			func(s *session, _ *flag.FlagSet) action { return s.listDevices }),
		verb(cli.Command{Name: "show", Args: "ID", Brief: "show a device's entry in the registry, without its keys"},
			func(s *session, flags *flag.FlagSet) action { return defineShow(s, flags, parseDevice) }),
		verb(cli.Command{Name: "rm", Args: "ID", Brief: "remove a device and its modules"},
			func(s *session, _ *flag.FlagSet) action { return s.remover(parseDevice) }),
	}
}

func moduleVerbs() []*cli.Command {
	return []*cli.Command{
		verb(cli.Command{Name: "add", Args: "DEVICE/MODULE", Brief: "make a module of a device, with keys"}, defineModuleAdd),
		verb(cli.Command{Name: "list", Args: "DEVICE", Brief: "list the modules of a device"},
			func(s *session, _ *flag.FlagSet) action { return s.listModules }),
		verb(cli.Command{Name: "show", Args: "DEVICE/MODULE", Brief: "show a module's entry in the registry, without its keys"},
			func(s *session, flags *flag.FlagSet) action { return defineShow(s, flags, parseModule) }),
		verb(cli.Command{Name: "rm", Args: "DEVICE/MODULE", Brief: "remove a module"},
			func(s *session, _ *flag.FlagSet) action { return s.remover(parseModule) }),
	}
}

func defineDeviceAdd(s *session, flags *flag.FlagSet) action {
	var device deviceFlags
	edge := flags.Bool("edge", false, "make an IoT Edge device")
	disabled := flags.Bool("disabled", false, "make it disabled: it cannot connect")
	flags.StringVar(&device.auth, "auth", "sas", "`HOW` it logs in: sas, selfSigned or ca (sas)")
	flags.Func("thumbprint", "digest of its certificate in `HEX`, for selfSigned; once more for a second one", device.addThumbprint)
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parseDevice(s.Args[0])
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
		return s.add(ctx, r, secret)
	}
}

func defineModuleAdd(s *session, flags *flag.FlagSet) action {
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parseModule(s.Args[0])
		if err != nil {
			return err
		}
		r := hubclient.Registration{DeviceID: id.Device, ModuleID: id.Module, Authentication: hubclient.Authentication{Type: hubclient.AuthSAS}}
		return s.add(ctx, r, secret)
	}
}

func (s *session) add(ctx context.Context, r hubclient.Registration, secret *secretFlags) error {
	if err := secret.check(s); err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	made, err := hub.Register(ctx, r)
	if err != nil {
		return err
	}
	return s.printRegistration(made, secret)
}

func defineShow(s *session, flags *flag.FlagSet, parse func(string) (hubclient.Identity, error)) action {
	secret := defineSecret(flags)
	return func(ctx context.Context) error {
		id, err := parse(s.Args[0])
		if err != nil {
			return err
		}
		if err := secret.check(s); err != nil {
			return err
		}
		hub, err := s.hub()
		if err != nil {
			return err
		}
		r, err := hub.Registration(ctx, id)
		if err != nil {
			return err
		}
		return s.printRegistration(r, secret)
	}
}

func (s *session) remover(parse func(string) (hubclient.Identity, error)) action {
	return func(ctx context.Context) error {
		id, err := parse(s.Args[0])
		if err != nil {
			return err
		}
		hub, err := s.hub()
		if err != nil {
			return err
		}
		if err := hub.Unregister(ctx, id, ""); err != nil {
			return err
		}
		if s.json {
			return nil
		}
		return s.Print("removed " + id.String() + "\n")
	}
}

func (s *session) listDevices(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	devices, err := hub.Devices(ctx)
	if err != nil {
		return err
	}
	header := []string{"DEVICE", "STATUS", "CONNECTION", "AUTH", "EDGE", "LAST ACTIVITY"}
	return s.printList(devices, header, func(r hubclient.Registration) []string {
		return []string{r.DeviceID, r.Status, r.ConnectionState, r.Authentication.Type, yesNo(r.IsEdge()), when(r.LastActivity)}
	})
}

func (s *session) listModules(ctx context.Context) error {
	id, err := parseDevice(s.Args[0])
	if err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	modules, err := hub.Modules(ctx, id.Device)
	if err != nil {
		return err
	}
	return s.printList(modules, []string{"MODULE", "CONNECTION", "AUTH", "LAST ACTIVITY"}, func(r hubclient.Registration) []string {
		return []string{r.ID().String(), r.ConnectionState, r.Authentication.Type, when(r.LastActivity)}
	})
}

func (s *session) printList(list []hubclient.Registration, header []string, row func(hubclient.Registration) []string) error {
	if s.json {
		shown := make([]hubclient.Registration, 0, len(list)) // [] and not null if empty
		for _, r := range list {
			shown = append(shown, r.WithoutKeys())
		}
		return s.PrintJSON(shown)
	}
	rows := [][]string{header}
	for _, r := range list {
		rows = append(rows, row(r))
	}
	return s.Print(cli.Table(rows))
}

// printRegistration writes the one thing about a device or module that was asked for.
func (s *session) printRegistration(r hubclient.Registration, secret *secretFlags) error {
	if secret.wanted {
		return s.printConnectionString(r, secret)
	}
	if s.json {
		return s.PrintJSON(r.WithoutKeys())
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
		[]string{"last activity", when(r.LastActivity)},
		[]string{"generation", r.GenerationID},
		[]string{"etag", r.ETag})
	return s.Print(cli.Table(rows))
}

func (s *session) printConnectionString(r hubclient.Registration, secret *secretFlags) error {
	host := secret.hostName
	if host == "" {
		host = s.client.Host()
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name // the device side has ports of its own
		}
	}
	text, err := r.ConnectionString(host, secret.gateway)
	if err != nil {
		return err
	}
	return s.Print(text + "\n")
}

// secretFlags are about printing the one secret there is to print.
type secretFlags struct {
	wanted            bool
	gateway, hostName string
}

func defineSecret(flags *flag.FlagSet) *secretFlags {
	var f secretFlags
	flags.BoolVar(&f.wanted, "connection-string", false, "write its own connection string and nothing else; that is a secret")
	flags.StringVar(&f.gateway, "gateway", "", "put `NAME`, the edge device's, into the connection string as GatewayHostName")
	flags.StringVar(&f.hostName, "hostname", "", "put `NAME` into it as the hub's, if devices know the hub by another name (serve --hostname)")
	return &f
}

func (f *secretFlags) check(s *session) error {
	switch {
	case !f.wanted && (f.gateway != "" || f.hostName != ""):
		return cli.Usagef("--gateway and --hostname go with --connection-string")
	case f.wanted && s.json:
		return cli.Usagef("--connection-string and --json exclude each other")
	}
	return nil
}

// deviceFlags are about how a device logs in.
type deviceFlags struct {
	auth        string
	thumbprints []string
}

// addThumbprint takes hex as openssl writes it too, with colons.
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
	const atMost = 2
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
	case n == 0 || n > atMost:
		return hubclient.Authentication{}, cli.Usagef("--auth selfSigned wants one --thumbprint, or two")
	}
	t := &hubclient.Thumbprint{Primary: f.thumbprints[0]}
	if n == atMost {
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

// when shortens a time of the hub's, which may have no zone and then is UTC.
func when(text string) string {
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
