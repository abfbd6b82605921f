package manifest

// Dotenv parses an .env file. Tests need it because many values cannot be used in a JSON
// string.
func Dotenv(doc []byte, lookup func(string) (string, bool)) (map[string]string, Problems) {
	r := &report{file: ".env"}
	values := r.dotenv(doc, lookup)
	return values, r.list
}

// ExpandVariables replaces the variables of a text. Tests need it because what expansion
// leaves is an error.
func ExpandVariables(text string, lookup func(string) (string, bool)) string {
	x := &expansion{env: &environment{lookup: lookup}, unusable: map[string]string{}}
	return string(x.expand([]byte(text)))
}
