package fleet

import (
	"maps"
	"slices"

	"rtsptunnel/internal/contract/reason"
)

// Change is a camera or a stream of it that was removed or changed: its open streams end
// for the reason.
type Change struct {
	Camera string      // its name
	Stream string      // empty: all streams
	Reason reason.Code // CAM_REMOVED, CAM_CHANGED or CAM_DISABLED
}

// changes returns what was removed or changed, sorted by camera and stream. New cameras,
// reports, credentials, which the next opening uses, and texts for people are no changes.
func changes(last, next *index) []Change {
	var list []Change
	for _, before := range last.sorted {
		now := next.cameras[before.Name]
		switch {
		case now == nil:
			list = append(list, Change{before.Name, "", reason.CameraRemoved})
		case now.Disabled && !before.Disabled:
			list = append(list, Change{before.Name, "", reason.CameraDisabled})
		case now.Hub != before.Hub || now.Identity != before.Identity || now.LocalPort != before.LocalPort || now.URL != before.URL:
			list = append(list, Change{before.Name, "", reason.CameraChanged})
		default:
			list = append(list, streamChanges(before, now)...)
		}
	}
	return list
}

func streamChanges(before, now *Camera) []Change {
	var list []Change
	for _, stream := range slices.Sorted(maps.Keys(before.Streams)) {
		switch info, there := now.Streams[stream]; {
		case !there:
			list = append(list, Change{before.Name, stream, reason.CameraRemoved})
		case info.Path != before.Streams[stream].Path:
			list = append(list, Change{before.Name, stream, reason.CameraChanged})
		}
	}
	return list
}
