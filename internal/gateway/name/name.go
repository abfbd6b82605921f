// Package name has the grammar of the gateway's names. It parses and escapes the names of
// cameras and streams, and matches them with globs.
//
// The rules are:
//   - a camera's name has two segments, device/camera. The first is an id as IoT Hub allows
//     it. The second is the camera's name, with its module's id and a dot in front of it if
//     two modules of the device have a camera of one name: device/module.camera;
//   - an alias is a name of one segment, without dots;
//   - a stream of a camera is one more segment, behind the camera's name or its alias;
//   - names are compared decoded, byte by byte. A URL has each segment percent-encoded;
//   - in a glob, only * is special. It matches any number of characters of one segment.
//     The glob * matches every camera.
//
// Code belongs here if it knows how names are written. Which cameras there are is the
// business of package fleet. The package is pure.
package name

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

const (
	maxID    = 128                        // bytes of an id in IoT Hub
	maxLabel = 64                         // bytes of a camera's name in the twin, of a stream's name and of an alias
	maxPath  = 3 * (2*maxID + 2*maxLabel) // bytes of an encoded path: no valid one is longer
	// idMarks are the characters of an id beside letters and digits (Microsoft, "Understand
	// the identity registry in your IoT hub", section "Device identity properties").
	idMarks = "-.+%_#*?!(),:=@$'"
)

// Parse decodes the path of a URL: device/camera, device/camera/stream, alias or
// alias/stream, each segment percent-encoded. A slash before it is ignored, and so is one
// behind it. A path of one segment is an alias, with an empty device. A path of two
// segments may be an alias and its stream; only a fleet can tell, see fleet.Lookup. stream
// is empty if the path has none. An error is a *failure.Failure, CAM_UNKNOWN.
func Parse(path string) (device, camera, stream string, err error) {
	decoded, err := Decode(path)
	if err != nil {
		return "", "", "", err
	}
	return Split(decoded)
}

// Decode returns the name that the path of a URL spells, as Parse reads it. A segment with
// an encoded slash is invalid.
func Decode(path string) (string, error) {
	if len(path) > maxPath {
		return "", unknown(errors.New("the path is too long"))
	}
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/"), "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return "", unknown(errors.New("the path is not percent-encoded"))
		}
		if strings.Contains(decoded, "/") {
			return "", unknown(errors.New("a segment of the path contains a slash"))
		}
		segments[i] = decoded
	}
	decoded := strings.Join(segments, "/")
	if _, _, _, err := Split(decoded); err != nil {
		return "", err
	}
	return decoded, nil
}

// Split splits a decoded name. Its results are those of Parse.
func Split(decoded string) (device, camera, stream string, err error) {
	segments := strings.Split(decoded, "/")
	switch len(segments) {
	case 1:
		camera = segments[0]
	case 2:
		device, camera = segments[0], segments[1]
	case 3:
		device, camera, stream = segments[0], segments[1], segments[2]
	default:
		return "", "", "", unknown(errors.New("a name has one to three segments"))
	}
	switch {
	case device == "" && len(segments) > 1 || device != "" && !IsID(device):
		err = unknown(errors.New("the first segment is not an id of a device"))
	case !isCamera(camera):
		err = unknown(errors.New("a segment is not the name of a camera"))
	case len(segments) == 1 && !IsLabel(camera):
		err = unknown(errors.New("the name is not an alias"))
	case stream == "" && len(segments) == 3 || stream != "" && !IsLabel(stream):
		err = unknown(errors.New("the last segment is not the name of a stream"))
	}
	if err != nil {
		return "", "", "", err
	}
	return device, camera, stream, nil
}

// CheckCamera returns why a decoded name is not the name of a camera, or nil. The error is
// for the author of a configuration.
func CheckCamera(decoded string) error {
	device, camera, found := strings.Cut(decoded, "/")
	switch {
	case !found || strings.Contains(camera, "/"):
		return errors.New("a camera's name has two segments: DEVICE/CAMERA")
	case !IsID(device):
		return fmt.Errorf("the first segment must have 1 to %d letters, digits or %s, and more than dots", maxID, idMarks)
	case !isCamera(camera):
		return fmt.Errorf("the second segment must have letters, digits or %s, and more than dots", idMarks)
	}
	return nil
}

// Escape returns a decoded name for the path of a URL, without a slash before it. Every
// character except letters, digits, '-', '.', '_', '~' and the slashes is percent-encoded.
func Escape(decoded string) string {
	segments := strings.Split(decoded, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.QueryEscape(segment), "+", "%20") // a plus itself is %2B
	}
	return strings.Join(segments, "/")
}

// IsID reports whether a text may be the id of a device or module in a name: an id of IoT
// Hub, but not . or .., which URLs resolve.
func IsID(id string) bool { return len(id) <= maxID && isSegment(id) }

// IsLabel reports whether a text may be the name of a stream, the name of a camera in a
// twin, or an alias: 1 to 64 letters, digits, '_' or '-'.
func IsLabel(label string) bool { return desired.IsName(label) }

// isCamera reports whether a segment may be the second one: camera or module.camera.
func isCamera(segment string) bool { return len(segment) <= maxID+1+maxLabel && isSegment(segment) }

func isSegment(segment string) bool {
	for _, c := range []byte(segment) {
		if !alphanumeric(c) && strings.IndexByte(idMarks, c) < 0 {
			return false
		}
	}
	return segment != "" && segment != "." && segment != ".."
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// unknown returns the failure of a name that no camera can have. No err repeats the name:
// a viewer may have written a token into it.
func unknown(err error) error { return failure.New(failure.Viewer, reason.CameraUnknown, err) }
