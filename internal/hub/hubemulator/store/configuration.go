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
	// configurationMarks are the characters that ids of configurations may have besides
	// lower case letters and digits. Microsoft, "Automatic IoT device and module
	// management", lists -+%_*!'; "Deploy IoT Edge modules at scale" lists more. Both
	// sets are allowed.
	configurationMarks = "-+%_*!'#?(),:=@;$."
)

// Errors of configurations; match them with errors.Is.
var (
	ErrConfigurationNotFound = errors.New("configuration not found")
	ErrConfigurationExists   = errors.New("configuration exists")
	ErrTooManyConfigurations = errors.New("too many configurations")
)

// Configuration is an automatic deployment as a service wrote it. The store does not
// interpret its content or its condition.
type Configuration struct {
	ID            string `json:"id"`
	SchemaVersion string `json:"schemaVersion"`
	// Content is JSON as the service sent it. It never changes.
	Content         json.RawMessage   `json:"content"`
	TargetCondition string            `json:"targetCondition"`
	Priority        int               `json:"priority"`
	Labels          map[string]string `json:"labels"`
	// Metrics are queries by name.
	Metrics map[string]string `json:"metrics"`
	// Only the store sets the members below.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Updates counts the changes, from 1.
	Updates int64 `json:"updates"`
}

// ETag returns the etag, without quotes. It differs after every change.
func (c Configuration) ETag() string {
	return base64.StdEncoding.EncodeToString(strconv.AppendInt(nil, c.Updates, 10))
}

func validConfigurationID(id string) bool {
	return id != "" && len(id) <= maxIDLength && !strings.ContainsFunc(id, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune(configurationMarks, c)
	})
}

// Configurations returns all configurations, sorted by id.
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

// Configuration returns one configuration, or ErrConfigurationNotFound.
func (s *Store) Configuration(id string) (Configuration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.configurations[id]
	if !ok {
		return Configuration{}, ErrConfigurationNotFound
	}
	return c, nil
}

// CreateConfiguration adds a configuration. Errors, wrapped: ErrInvalidID,
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
	return s.putConfiguration(c), nil
}

// UpdateConfiguration replaces a configuration, except for its content, which cannot
// change. ifMatch is the etag that it must have, without quotes; empty or "*" matches
// any. Errors: ErrConfigurationNotFound, ErrETag.
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
	return s.putConfiguration(c), nil
}

// putConfiguration stores c with new counters and times. The caller holds the lock.
func (s *Store) putConfiguration(c Configuration) Configuration {
	c.Updates++
	c.Updated = now()
	if c.Updates == 1 {
		c.Created = c.Updated
	}
	s.configurations[c.ID] = c
	s.revision++
	return c
}

// DeleteConfiguration deletes a configuration. For ifMatch and errors, see
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
