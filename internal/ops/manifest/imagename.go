package manifest

import (
	"regexp"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

var (
	// agentImage is the pattern of edge agent, which adds the tag latest if there is none:
	// Azure/iotedge, edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/DockerConfig.cs,
	// ImageRegexPattern. It has no place for a tag and a digest (Azure/iotedge issue 5259).
	agentImage = regexp.MustCompile(`^([^/]*/)*[^/:]+(:[^/:]+)?$`)

	// parentImage is the start of a name that edge agent replaces by the host of the parent
	// device: Azure/iotedge,
	// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/NestedEdgeParentUrlParser.cs.
	parentImage = regexp.MustCompile(`^\$upstream(:[1-9])`)

	// dockerImage is Docker's REGISTRY/REPOSITORY[:TAG][@DIGEST]: distribution/reference,
	// regexp.go. Its groups are the tag and the digest.
	dockerImage = regexp.MustCompile(`^(?:(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?[a-z0-9._-]+(?:/[a-z0-9._-]+)*` +
		`(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[A-Fa-f0-9]{32,}))?$`)
)

// checkImage checks a module's image as edge agent does, and then as Docker does. A name
// that edge agent refuses affects all modules of the device.
func checkImage(c *checker, v *jsontree.Value, at place) {
	if isImagePlaceholder(v.Text) || strings.Contains(v.Text, "${") {
		return // checkPlaceholders reports it
	}
	const latest = "use a version as the tag: the runtime does not check for a newer image of the same name"
	image := strings.TrimSpace(v.Text)
	if strings.HasPrefix(image, "$") && !parentImage.MatchString(image) {
		c.fault(at, "starts with a dollar sign, but not with $upstream:PORT: edge agent rejects the whole configuration", "write $upstream:PORT/REPOSITORY:TAG for an image from a parent device")
		return
	}
	image = parentImage.ReplaceAllString(image, "parent$1")
	parts := dockerImage.FindStringSubmatch(image)
	switch {
	case parts != nil && parts[1] != "" && parts[2] != "":
		c.fault(at, "has a tag and a digest: edge agent rejects the whole configuration", "remove the tag, or the digest")
	case !agentImage.MatchString(image):
		c.fault(at, "is not an image name: edge agent rejects the whole configuration", "write REGISTRY/REPOSITORY:TAG")
	case parts == nil:
		c.fault(at, "is not an image name that Docker accepts", "write REGISTRY/REPOSITORY:TAG, with the repository in lower case and without spaces")
	case parts[1] == "" && parts[2] == "":
		c.warn(at, "has no tag, which means latest", latest)
	case parts[1] == "latest":
		c.warn(at, "has the tag latest", latest)
	}
}
