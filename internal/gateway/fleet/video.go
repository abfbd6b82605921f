package fleet

import (
	"strings"

	"github.com/google/uuid"
)

// videos is the namespace of the videos' UUIDs. It never changes: stored recordings and
// tokens have such UUIDs.
var videos = uuid.MustParse("5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0b7")

// GUID returns the UUID of a video: version 5 of its name (RFC 9562, section 5.5).
func GUID(video string) string { return uuid.NewSHA1(videos, []byte(video)).String() }

// videoOf returns the name of the video of a camera without an alias: its name, with a dash
// for each character that is not a letter, a digit or a dash.
func videoOf(camera string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			return c
		}
		return '-'
	}, camera)
}
