package module

import (
	"crypto/x509"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/hubconn"
)

// environmentReasons returns the reason code, if the environment has faults.
func environmentReasons(faults []config.Fault) []string {
	if len(faults) == 0 {
		return nil
	}
	return []string{string(reason.ConfigEnvironment)}
}

// logStart logs the build, the identity, and the settings with their origins.
func logStart(log zerolog.Logger, cfg config.Module) {
	b := buildinfo.Read("rtsptunnel")
	log.Info().Str("version", b.Version).Str("commit", b.Commit).Str("go", b.Go).Str("os", b.OS).Str("arch", b.Arch).
		Time("clock", time.Now().UTC()).Str("identity", cfg.Identity.Source).
		Str("device", cfg.Identity.DeviceID).Str("module", cfg.Identity.ModuleID).Msg("rtsptunnel starts")
	settings := log.Info()
	for _, s := range cfg.Settings() {
		settings = settings.Str(s.Name, s.Value+" ("+s.Origin+")")
	}
	settings.Msg("settings; other variables are unset")
}

// logEnvironment logs lab switches, and the variables that are ignored or invalid.
func logEnvironment(log zerolog.Logger, cfg config.Module) {
	for _, text := range cfg.Ignored {
		log.Warn().Msg(text)
	}
	for _, code := range labReasons(cfg) {
		log.Warn().Str("reason", code).Msg(reason.Code(code).Text() + "; use this in a lab only")
	}
	for _, f := range cfg.Faults {
		log.Error().Str("reason", string(reason.ConfigEnvironment)).Str("variable", f.Variable).Msg(f.String())
	}
}

// hubIdentity returns the identity in the environment, with its credentials.
func hubIdentity(cfg config.Module, log zerolog.Logger) hubconn.Identity {
	id := cfg.Identity
	hub := hubconn.Identity{HubHost: id.HubHost, GatewayHost: id.GatewayHost, DeviceID: id.DeviceID, ModuleID: id.ModuleID}
	switch {
	case id.Workload.URI != "":
		hub.Auth = hubconn.Workload{URI: id.Workload.URI, GenerationID: id.Workload.GenerationID}
	case id.HasCertificate():
		hub.Auth = hubconn.Certificate{Certificate: id.Certificate, Roots: hubRoots(cfg, log)}
	default:
		hub.Auth = hubconn.SymmetricKey{Key: id.Key, Roots: hubRoots(cfg, log)}
	}
	return hub
}

// hubRoots returns the roots for a hub of a connection string: those in the gateway's
// file alone, or the system's and the site's. Each connect reads them again.
func hubRoots(cfg config.Module, log zerolog.Logger) hubconn.Roots {
	if file := cfg.Identity.GatewayCAFile; file != "" {
		return func() (*x509.CertPool, error) { return rootsIn("EdgeModuleCACertificateFile", file) }
	}
	return func() (*x509.CertPool, error) {
		roots, err := systemRootsAnd(cfg.CAFile)
		if err != nil {
			log.Debug().Err(err).Msg("RTSPTUNNEL_CA_FILE is not used for the hub")
		}
		return roots, nil
	}
}
