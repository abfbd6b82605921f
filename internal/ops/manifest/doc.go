// Package manifest reads deployment manifests of IoT Edge, whatever their modules:
// it makes them from templates, judges them, and puts layers onto a base as IoT Hub
// does for a device. It reads files and has no network.
//
//   - [Expand] makes a manifest from a template, as iotedgedev does.
//   - [Parse] reads a manifest that needs nothing more: a full or a layered one, or a
//     deployment as az iot edge deployment show prints it.
//   - [Load] does the one or the other, by what the file is.
//   - [Validate] judges a manifest by what the runtime, IoT Hub and the schemas of
//     iotedgedev and VS Code want, and the twins of our own module by its schema.
//   - [Merge] puts layers onto a base by priority, and knows of each value in the
//     result which of them it is from.
//
// What is wrong is always a list, [Problems]: each names file, line, the path in the
// document, what is wrong and what to do. Some are warnings; the others keep Expand
// and Merge from giving any result. No problem ever holds a value of the environment,
// of an .env file, of a twin or of a manifest: any of them may be a secret.
//
// A line belongs here when it says what stands in a manifest, or what becomes of it.
// Talking to a hub, to a registry or to Docker does not.
package manifest
