// Package packaging tests the files that are not Go: Dockerfiles, module.json, deployment
// templates, samples, the dev container, the scripts of CI, the version and the changelog.
// The tests need Go, and no builder, registry or network. .ci/image-test checks what needs
// a builder or a running container.
//
// A line belongs here when it holds such a file to a rule, or keeps two such files, or one
// and the code, consistent. No program contains this package.
package packaging
