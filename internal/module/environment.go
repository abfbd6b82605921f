package module

import (
	"crypto/x509"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/edge"
)

// degraded is what is reported of an environment with these faults.
func degraded(faults []config.Fault) []string {
	if len(faults) == 0 {
		return nil
	}
	return []string{string(reason.ConfigEnvironment)}
}

// tellStart logs what runs here, as whom, and the settings with their origins.
func tellStart(log zerolog.Logger, cfg config.Module) {
	b := ThisBuild()
	log.Info().Str("version", b.Version).Str("commit", b.Commit).Str("go", b.Go).Str("os", b.OS).Str("arch", b.Arch).
		Time("clock", time.Now().UTC()).Str("identity", cfg.Identity.Source).
		Str("device", cfg.Identity.DeviceID).Str("module", cfg.Identity.ModuleID).Msg("rtsptunnel starts")
	settings := log.Info()
	for _, s := range cfg.Settings() {
		settings = settings.Str(s.Name, s.Value+" ("+s.Origin+")")
	}
	settings.Msg("settings; other variables are unset")
}

// tellEnvironment logs what of the environment has no effect.
func tellEnvironment(log zerolog.Logger, cfg config.Module) {
	for _, text := range cfg.Ignored {
		log.Warn().Msg(text)
	}
	for _, code := range labReasons(cfg) {
		log.Warn().Str("reason", code).Msg(reason.Code(code).Text() + "; this is for a lab")
	}
	for _, f := range cfg.Faults {
		log.Error().Str("reason", string(reason.ConfigEnvironment)).Str("variable", f.Variable).Msg(f.String())
	}
}

// hubIdentity is the environment's identity with what it logs in by.
func hubIdentity(cfg config.Module, log zerolog.Logger) edge.Identity {
	id := cfg.Identity
	hub := edge.Identity{HubHost: id.HubHost, GatewayHost: id.GatewayHost, DeviceID: id.DeviceID, ModuleID: id.ModuleID}
	switch {
	case id.Workload.URI != "":
		hub.Login = edge.Workload{URI: id.Workload.URI, GenerationID: id.Workload.GenerationID}
	case id.HasCertificate():
		hub.Login = edge.Certificate{Certificate: id.Certificate, Roots: hubRoots(cfg, log)}
	default:
		hub.Login = edge.Key{Key: id.Key, Roots: hubRoots(cfg, log)}
	}
	return hub
}

// hubRoots are the roots of a hub that is reached by a connection string: those of
// the gateway's file alone, or the system's and the site's. They are read again for
// each connect.
func hubRoots(cfg config.Module, log zerolog.Logger) edge.Roots {
	if file := cfg.Identity.GatewayCAFile; file != "" {
		return func() (*x509.CertPool, error) { return only("EdgeModuleCACertificateFile", file) }
	}
	return func() (*x509.CertPool, error) {
		roots, err := systemAnd(cfg.CAFile)
		if err != nil {
			log.Debug().Err(err).Msg("RTSPTUNNEL_CA_FILE is not used for the hub")
		}
		return roots, nil
	}
}
