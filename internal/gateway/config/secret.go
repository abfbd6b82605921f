package config

// Secret is a text that prints as ***.
type Secret string

const hidden = "***"

// String hides the secret.
func (s Secret) String() string { return hidden }

// GoString hides it from %#v.
func (s Secret) GoString() string { return hidden }

// MarshalText hides it from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
