// Package manifest expands templates of IoT Edge into deployment manifests, validates
// manifests, and merges a base with layers as IoT Hub does for a device. It works for any
// modules. It reads files and does not use the network.
//
//   - [Expand] makes a manifest from a template, as iotedgedev does.
//   - [Parse] reads an expanded manifest: a full or a layered one, or a deployment as az
//     iot edge deployment show prints it.
//   - [Load] expands templates and parses other files.
//   - [Validate] checks a manifest against the rules of the runtime, of IoT Hub and of
//     the schemas that iotedgedev and VS Code use. It checks rtsptunnel's twins against
//     their schema.
//   - [Merge] puts layers onto a base by priority, and records which deployment each
//     value in the result comes from.
//
// Findings are [Problems]. Each names the file, the line, the path in the document, the
// problem and what to do. Warnings do not affect results; after any other problem Expand
// and Merge return no result. A problem never contains a value of the environment, of an
// .env file, of a twin or of a manifest, because any of them may be a secret.
//
// A line belongs here when it defines what a manifest contains or how it is transformed.
// Talking to a hub, to a registry or to Docker does not.
package manifest
