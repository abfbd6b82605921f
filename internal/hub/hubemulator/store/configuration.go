package store

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxConfigurations is the quota of a paid hub (Microsoft, "IoT Hub quotas and
	// throttling", section "Other limits").
	maxConfigurations = 100
	// configurationMarks are what ids of configurations may have besides lower case
	// letters and digits (Microsoft, "Automatic IoT device and module management":
	// -+%_*!'; "Deploy IoT Edge modules at scale" has more, and both are taken).
	configurationMarks = "-+%_*!'#?(),:=@;$."
)

// What can go wrong with a configuration; match with errors.Is.
var (
	ErrConfigurationNotFound = errors.New("configuration not found")
	ErrConfigurationExists   = errors.New("configuration exists")
	ErrTooManyConfigurations = errors.New("too many configurations")
)

// Configuration is an automatic deployment as a service has written it. The store
// keeps it; what its content and its condition mean is nobody's business here.
type Configuration struct {
	ID            string `json:"id"`
	SchemaVersion string `json:"schemaVersion"`
	// Content is JSON as it was sent. It never changes.
	Content         json.RawMessage   `json:"content"`
	TargetCondition string            `json:"targetCondition"`
	Priority        int               `json:"priority"`
	Labels          map[string]string `json:"labels"`
	// Metrics are queries by name.
	Metrics map[string]string `json:"metrics"`
	// The store alone writes what follows.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Updates counts the changes, from 1.
	Updates int64 `json:"updates"`
}

// ETag changes with every change; it stands without quotes.
func (c Configuration) ETag() string {
	return base64.StdEncoding.EncodeToString(strconv.AppendInt(nil, c.Updates, 10))
}

func validConfigurationID(id string) bool {
	return id != "" && len(id) <= maxIDLength && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(configurationMarks, c)
	})
}

// Configurations returns all, by id.
func (s *Store) Configurations() []Configuration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allConfigurations()
}

func (s *Store) allConfigurations() []Configuration {
	list := make([]Configuration, 0, len(s.configurations))
	for _, c := range s.configurations {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Configuration) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Configuration returns one, or ErrConfigurationNotFound.
func (s *Store) Configuration(id string) (Configuration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.configurations[id]
	if !ok {
		return Configuration{}, ErrConfigurationNotFound
	}
	return c, nil
}

// CreateConfiguration keeps a new one. Errors, wrapped: ErrInvalidID,
// ErrConfigurationExists, ErrTooManyConfigurations.
func (s *Store) CreateConfiguration(c Configuration) (Configuration, error) {
	if !validConfigurationID(c.ID) {
		return Configuration{}, fmt.Errorf("%w %.64q: want 1 to %d lower case letters, digits or %s",
			ErrInvalidID, c.ID, maxIDLength, configurationMarks)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.configurations[c.ID]; exists {
		return Configuration{}, ErrConfigurationExists
	}
	if len(s.configurations) >= maxConfigurations {
		return Configuration{}, fmt.Errorf("%w: the most is %d", ErrTooManyConfigurations, maxConfigurations)
	}
	c.Created, c.Updates = time.Time{}, 0
	return s.keepConfiguration(c), nil
}

// UpdateConfiguration replaces all that may change: the content stays. ifMatch is
// the etag it must have, without quotes; empty or "*" is any. Errors:
// ErrConfigurationNotFound, ErrETag.
func (s *Store) UpdateConfiguration(c Configuration, ifMatch string) (Configuration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.configurations[c.ID]
	if !ok {
		return Configuration{}, ErrConfigurationNotFound
	}
	if !matches(ifMatch, old.ETag()) {
		return Configuration{}, ErrETag
	}
	c.Content, c.Created, c.Updates = old.Content, old.Created, old.Updates
	return s.keepConfiguration(c), nil
}

// keepConfiguration is the caller's with the lock held.
func (s *Store) keepConfiguration(c Configuration) Configuration {
	c.Updates++
	c.Updated = now()
	if c.Updates == 1 {
		c.Created = c.Updated
	}
	s.configurations[c.ID] = c
	s.revision++
	return c
}

// DeleteConfiguration removes one. ifMatch and errors are those of
// UpdateConfiguration.
func (s *Store) DeleteConfiguration(id, ifMatch string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.configurations[id]
	if !ok {
		return ErrConfigurationNotFound
	}
	if !matches(ifMatch, c.ETag()) {
		return ErrETag
	}
	delete(s.configurations, id)
	s.revision++
	return nil
}
