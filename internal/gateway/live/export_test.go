package live

// Parse is parse for tests.
func Parse(escaped string) (name, output, file string, err error) {
	r, err := parse(escaped)
	return r.name + r.video, r.output, r.file, err
}
