package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// IoT Hub's limits of twins (Microsoft, "Understand and use device twins in IoT Hub",
// sections "Tags and properties format" and "Device twin size"). Sizes are in bytes.
// Arrays are allowed as values: IoT Hub accepts them since autumn 2021, although older
// copies of that page say otherwise. IoT Hub also refuses # in names, which the page omits
// (MicrosoftDocs/azure-docs, issue 37648).
const (
	maxTags       = 8 * 1024
	maxProperties = 32 * 1024

	maxDepth  = 10
	maxKey    = 1024
	maxString = 4 * 1024

	minInteger = -4503599627370496
	maxInteger = 4503599627370495

	numberSize  = 8
	booleanSize = 4
)

// ErrLimit reports a change that would exceed one of IoT Hub's limits of twins. It is
// wrapped with the limit; its text may be shown to the client.
var ErrLimit = errors.New("twin limit")

func limit(name, text string) error {
	return fmt.Errorf("%w: property %.64q: %s", ErrLimit, name, text)
}

// mergeWithin is mergeInto with checks. After ErrLimit the state of target is undefined.
func mergeWithin(target map[string]any, p Patch, maxSize int) error {
	if err := checkObject(p, 0); err != nil {
		return err
	}
	mergeInto(target, p)
	if n := size(target); n > maxSize {
		return fmt.Errorf("%w: the section would have %d bytes, the most is %d", ErrLimit, n, maxSize)
	}
	return nil
}

// checkObject checks the members of an object. depth is the number of objects and arrays
// around the members, without the section.
func checkObject(object map[string]any, depth int) error {
	for name, value := range object {
		if err := checkKey(name); err != nil {
			return err
		}
		if err := checkValue(name, value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(name string) error {
	switch {
	case len(name) > maxKey:
		return limit(name, "the name is longer than 1024 bytes")
	case strings.ContainsAny(name, ".$# ") || strings.ContainsFunc(name, unicode.IsControl):
		return limit(name, "a name must not have '.', '$', '#', blanks or control characters")
	default:
		return nil
	}
}

func checkValue(name string, value any, depth int) error {
	switch value := value.(type) {
	case string:
		if len(value) > maxString {
			return limit(name, "the text is longer than 4096 bytes")
		}
	case json.Number:
		return checkNumber(name, string(value))
	case map[string]any:
		if depth > maxDepth {
			return limit(name, "it is nested deeper than 10 levels")
		}
		return checkObject(value, depth)
	case []any:
		if depth > maxDepth {
			return limit(name, "it is nested deeper than 10 levels")
		}
		for _, element := range value {
			if err := checkValue(name, element, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNumber(name, number string) error {
	if !strings.ContainsAny(number, ".eE") {
		if n, err := strconv.ParseInt(number, 10, 64); err != nil || n < minInteger || n > maxInteger {
			return limit(name, "an integer must be from -4503599627370496 to 4503599627370495")
		}
		return nil
	}
	if f, err := strconv.ParseFloat(number, 64); err != nil || math.IsInf(f, 0) {
		return limit(name, "the number is too large")
	}
	return nil
}

// size counts as IoT Hub does: names and strings in bytes, numbers as 8, booleans as 4,
// and nothing for null, arrays and objects themselves.
func size(value any) int {
	n := 0
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			n += len(name) + size(member)
		}
	case []any:
		for _, element := range value {
			n += size(element)
		}
	case string:
		n = len(value)
	case bool:
		n = booleanSize
	case nil:
	default:
		n = numberSize
	}
	return n
}
