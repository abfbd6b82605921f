// Package packaging judges, in its tests, the files that operators of IoT Edge touch
// before any Go: Dockerfiles, module.json, deployment templates, samples, the dev
// container. It needs Go alone: no builder, no registry, no network. What only a builder
// or a running container can tell is .ci/image-test's.
//
// A line belongs here when it holds such a file to a rule, or two of them, or one and the
// code, together. It is in no program.
package packaging
