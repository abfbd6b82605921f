// Package jsonvalue copies and changes JSON values as encoding/json decodes them into
// an any: maps, slices, strings, numbers, booleans and nil. Package jsontree has trees
// that keep order, duplicates and lines as well.
//
// A line belongs here when it would hold for any JSON value. What a value means does
// not.
package jsonvalue

// Clone returns a deep copy of a value. It shares no map and no slice with the value.
func Clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return CloneObject(value)
	case []any:
		c := make([]any, len(value))
		for i := range value {
			c[i] = Clone(value[i])
		}
		return c
	default:
		return value
	}
}

// CloneObject is Clone for an object. A nil map becomes an empty one.
func CloneObject(object map[string]any) map[string]any {
	c := make(map[string]any, len(object))
	for name, value := range object {
		c[name] = Clone(value)
	}
	return c
}

// Set writes value into object at a path of member names, which must not be empty. It
// makes the objects that are missing on the path. It replaces a value on the path that
// is not an object, and reports false then. A nil value deletes the member at the path;
// the path stays as it is then.
func Set(object map[string]any, path []string, value any) (ok bool) {
	ok = true
	last := len(path) - 1
	for _, name := range path[:last] {
		next, isObject := object[name].(map[string]any)
		ok = ok && (isObject || object[name] == nil)
		if !isObject && value == nil {
			return ok
		}
		if !isObject {
			next = make(map[string]any)
			object[name] = next
		}
		object = next
	}
	if value == nil {
		delete(object, path[last])
	} else {
		object[path[last]] = value
	}
	return ok
}
