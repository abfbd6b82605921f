package manifest

// Dotenv reads an .env file, for tests: most values that show how it is read do not
// fit into a JSON string.
func Dotenv(doc []byte, lookup func(string) (string, bool)) (map[string]string, Problems) {
	r := &report{file: ".env"}
	values := r.dotenv(doc, lookup)
	return values, r.list
}
