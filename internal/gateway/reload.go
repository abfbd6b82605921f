package gateway

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/config"
)

const (
	lookEvery = 3 * time.Second  // at the files of the configuration
	loopLimit = 60 * time.Second // a turn takes longer only if the program is stuck
)

// run reloads the configuration and drops idle streams, until ctx is done.
func (g *gateway) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		g.status.alive()
		select {
		case <-ctx.Done():
			return
		case <-g.o.Reload:
			g.reload(ctx, true)
		case <-ticker.C:
			g.reload(ctx, false)
		}
		g.streams.tidy()
		g.reviewViewers() // those that logged in before a change, and play since
		g.noteCertificates()
		g.noteHubs()
		g.noteProblems()
		g.tendAccess()
	}
}

// reload reads the configuration if it has changed, or because an operator asks for it. An
// invalid one changes nothing but the note about it.
func (g *gateway) reload(ctx context.Context, asked bool) {
	if !asked && !g.o.Source.Changed() {
		return
	}
	c, err := g.o.Source.Load()
	if err == nil {
		err = g.apply(ctx, c)
	}
	if err != nil {
		g.status.note(partConfig, reason.ConfigFormat, "the newest configuration is invalid, and the last valid one is in force: "+oneLine(err))
		g.metrics.applied.Store(false)
		g.log.Error().Err(err).Msg("configuration is invalid: the last valid one stays in force")
		return
	}
	for _, w := range c.Warnings {
		g.log.Warn().Str("warning", w).Msg("configuration")
	}
}

// oneLine returns the first lines of an error as one.
func oneLine(err error) string {
	const most = 500
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

func (g *gateway) applyFirst(ctx context.Context) error { return g.apply(ctx, g.started) }

// apply puts a configuration in force, completely or not at all.
func (g *gateway) apply(ctx context.Context, c *config.Config) error {
	tokens, err := g.tokens(c)
	if err != nil {
		return err
	}
	if err := g.browser.SetOrigins(c.Access.Origins); err != nil {
		return fmt.Errorf("access.origins: %w", err)
	}
	if err := g.applyFleet(c); err != nil {
		return err
	}
	g.streams.configure(c)
	g.opener.SetMaxTunnels(c.Limits.OpenTunnels)
	g.metrics.cameras.Store(c.Metrics.Cameras)
	g.level.set(c.Log.Level)
	g.access.Set(tokens)
	g.rtsp.SetLimits(playerLimits(c))
	g.watching.SetLimits(viewerLimits(c))
	g.live.SetSockets(connectionsOf(c, descriptors()).sockets)
	g.origins.Store(&c.Access.Origins)
	g.reviewViewers()
	g.streams.forget()
	g.streams.keepOpen(ctx, kept(c))
	pending := pendingRestart(g.started, c)
	text := ""
	if len(pending) > 0 {
		text = "changes of " + strings.Join(pending, ", ") + " are in force after a restart"
	}
	g.status.note(partRestart, reason.ConfigFormat, text)
	g.status.note(partConfig, "", "")
	g.metrics.applied.Store(true)
	if c != g.started {
		g.log.Info().Int("hubs", len(c.Hubs)).Int("cameras", len(c.Cameras)).Int("tokens", len(tokens)).
			Strs("afterRestart", pending).Msg("configuration is in force")
	}
	return nil
}

// kept returns the cameras that are open without viewers.
func kept(c *config.Config) map[string]bool {
	names := map[string]bool{}
	for name, camera := range c.Cameras {
		if camera.KeepOpen {
			names[name] = true
		}
	}
	return names
}

// pendingRestart names the sections that differ from those at the start, and that only a
// start puts in force.
func pendingRestart(started, c *config.Config) []string {
	var names []string
	for name, same := range map[string]bool{
		"listen":     reflect.DeepEqual(started.Listen, c.Listen),
		"publicURL":  started.PublicURL == c.PublicURL,
		"data":       started.Data == c.Data,
		"log.format": started.Log.Format == c.Log.Format,
		"live.hls":   started.Live.HLS == c.Live.HLS,
		"page":       started.Page == c.Page,

		"access.sealKeyFile": started.Access.SealKey == c.Access.SealKey,
	} {
		if !same {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// tokens returns the tokens of a configuration, or the generated one if it has none.
func (g *gateway) tokens(c *config.Config) ([]access.Token, error) {
	var tokens []access.Token
	for _, t := range c.Access.Tokens {
		token := access.Token{Name: t.Name, Role: access.Role(t.Role), Cameras: t.Cameras, Expires: t.Expires.Time, MayShare: t.MayShare}
		var err error
		if t.TokenFile != "" {
			token.Hash, err = access.HashOf(string(t.Clear))
		} else {
			token.Hash, err = access.ParseHash(t.SHA256)
		}
		if err != nil {
			return nil, errors.New("access.tokens: token " + t.Name + ": " + err.Error())
		}
		if t.RTSPDigest {
			token.Secret = access.Secret(t.Clear)
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 {
		if err := g.generate(); err != nil {
			return nil, err
		}
		tokens = g.generated
	}
	return tokens, access.Check(tokens)
}

// generatedName is the name of the token that the gateway makes.
const generatedName = "admin"

// generate reads the token of the data folder, or makes it and prints it once.
func (g *gateway) generate() error {
	if g.generated != nil {
		return nil
	}
	var clear string
	text, created, err := g.folder.TokenHash(func() string {
		token, hash := access.Generate()
		clear = token
		return hash.String()
	})
	if err != nil {
		return err
	}
	hash, err := access.ParseHash(text)
	if err != nil {
		return errors.New(g.folder.TokenFile() + " is damaged: remove it, and the next start makes a new token")
	}
	if created {
		g.notice("No token is configured, so one with all rights was made. It is shown once:\n\n  " + clear +
			"\n\nThe user name in RTSP is " + generatedName + ". Without it, remove " + g.folder.TokenFile() + " and start again.\n")
	}
	g.generated = []access.Token{{Name: generatedName, Role: access.Admin, Hash: hash}}
	return nil
}
