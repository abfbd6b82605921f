package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// binary is the path at which the Dockerfiles put the module.
const binary = "/rtsptunnel"

// Labels of an image, as OCI's image specification names them.
const (
	labelTitle       = "org.opencontainers.image.title"
	labelVersion     = "org.opencontainers.image.version"
	labelRevision    = "org.opencontainers.image.revision"
	labelCreated     = "org.opencontainers.image.created"
	labelDescription = "org.opencontainers.image.description"
)

// describe returns the bill of materials of an image. It fails if the image has no binary
// or no title.
func describe(i image) (*cdx.BOM, error) {
	content, ok := i.files[binary]
	if !ok {
		return nil, fmt.Errorf("the image has no file %s", binary)
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", binary, err)
	}
	whole := cdx.Component{
		BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: i.labels[labelTitle], Version: i.labels[labelVersion],
		Description: i.labels[labelDescription],
		Properties:  properties("platform", i.platform, "revision", i.labels[labelRevision], "config-digest", "sha256:"+i.digest),
	}
	if whole.Name == "" {
		return nil, errors.New("the image has no label " + labelTitle)
	}
	modules := modulesOf(info)
	files := filesOf(i)
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(i.digest)
	bom.Metadata = &cdx.Metadata{
		Timestamp: i.labels[labelCreated], Component: &whole,
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
	}
	bom.Components = new(append(slices.Clone(files), modules...))
	bom.Dependencies = &[]cdx.Dependency{
		{Ref: whole.BOMRef, Dependencies: references(files)},
		{Ref: binary, Dependencies: references(modules)},
	}
	return bom, nil
}

// serial returns a UUID of version 8 (RFC 9562, 5.8) that depends on the digest alone.
func serial(digest string) string {
	return "urn:uuid:" + digest[:8] + "-" + digest[8:12] + "-8" + digest[13:16] + "-8" + digest[17:20] + "-" + digest[20:32]
}

// filesOf returns the files in the order of their paths. The binary is an application.
func filesOf(i image) []cdx.Component {
	var all []cdx.Component
	for _, path := range slices.Sorted(maps.Keys(i.files)) {
		c := cdx.Component{
			BOMRef: path, Type: cdx.ComponentTypeFile, Name: path,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: sha(i.files[path])}},
		}
		if path == binary {
			c.Type, c.Version = cdx.ComponentTypeApplication, i.labels[labelVersion]
		}
		all = append(all, c)
	}
	return all
}

// modulesOf returns the Go modules in a binary, the standard library first. For a replaced
// module it returns the replacement.
func modulesOf(info *debug.BuildInfo) []cdx.Component {
	all := []cdx.Component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, library(m.Path, m.Version, m.Sum))
	}
	return all
}

// library returns a Go module as a component. sum is its line in go.sum, which is a property
// because CycloneDX has no such hash algorithm.
func library(path, version, sum string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl, Scope: cdx.ScopeRequired}
	if sum != "" {
		c.Properties = properties("go-sum", sum)
	}
	return c
}

// properties returns pairs of name and value as properties, with our prefix before each
// name and without the pairs whose value is empty.
func properties(pairs ...string) *[]cdx.Property {
	var all []cdx.Property
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			all = append(all, cdx.Property{Name: "rtsptunnel:" + pair[0], Value: pair[1]})
		}
	}
	return &all
}

func references(components []cdx.Component) *[]string {
	var all []string
	for _, c := range components {
		all = append(all, c.BOMRef)
	}
	return &all
}
