package manifest

// Dotenv parses an .env file. Tests need it because many values cannot be used in a JSON
// string.
func Dotenv(doc []byte, lookup func(string) (string, bool)) (map[string]string, Problems) {
	r := &report{file: ".env"}
	values := r.dotenv(doc, lookup)
	return values, r.list
}
