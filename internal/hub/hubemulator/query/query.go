// Package query implements IoT Hub's query language for twins. It parses a query
// and tells which documents the query selects.
//
// Source of most rules: Microsoft, "IoT Hub query language for device and module
// twins, jobs, and message routing" and "Queries for IoT Hub device and module
// twins". They define:
//   - the clauses, SELECT of everything, of members, and of COUNT();
//   - the collections devices and devices.modules;
//   - operators, IN and NIN with a list in square brackets, IS_DEFINED;
//   - literals and their escapes, and the length limit;
//   - that a condition selects a document only if it is true, that every other
//     value counts as false, and that only primitive values are compared.
//
// Sources of the other rules are public issues and Microsoft's tools:
//   - STARTSWITH and ENDSWITH: MicrosoftDocs/azure-docs 85381 and 110329. The
//     spellings with an underscore belong to routing queries and are refused.
//   - The other functions, names after "devices.", and a doubled quote within a
//     string: Azure/Industrial-IoT, SqlSelect.g4; Azure IoT Explorer;
//     microsoft/mcp.
//   - Reserved words are names only in double square brackets: azure-docs 17106.
//   - Array indexes have the syntax of routing queries.
//
// Rules of this package, because no source defines them:
//   - A comparison with a missing value, an object or an array is false. So are
//     IN and NIN. NOT makes each of them true.
//   - Values of different types are unequal and have no order. Strings, and so
//     times, compare by code points.
//   - Names of IoT Hub (deviceId, properties.reported) match in any case, as in
//     the examples of the sources. Names in tags and properties are
//     case-sensitive, as the sources say.
//   - A column without AS has the last name of its path, in IoT Hub's spelling.
//     A row leaves out members that the document lacks. COUNT() needs a name and
//     excludes other columns.
//   - A path that a twin cannot have (tag.x, status.y) is an error, because it
//     would never find anything.
//
// Everything else is refused with an Error that names the token, so that an
// unsupported query never looks like one without results. Refused although the
// sources have it: devices.jobs, GROUP BY, TOP, the other aggregates, arithmetic,
// the constant undefined.
package query

import "fmt"

const (
	// maxLength is the longest query in characters (Microsoft, "Queries for IoT
	// Hub device and module twins", section "Twin query limitations").
	maxLength = 8192
	// maxDepth limits the nesting of conditions. The limit is this package's own.
	maxDepth = 100
)

// Collection is the collection that a query searches.
type Collection string

// The collections of twins.
const (
	Devices Collection = "devices"
	Modules Collection = "devices.modules"
)

// Document is a twin: the members of its JSON form, as encoding/json decodes them
// with UseNumber. It may also contain int64 and time.Time, which queries treat as
// their JSON forms.
type Document map[string]any

// Query is a parsed query. It is immutable and safe for concurrent use.
type Query struct {
	// From is the collection that the query searches.
	From Collection
	// Count is the column name for the number of documents, if the query selects
	// COUNT(). Else it is empty.
	Count string

	columns []column   // nil if the query selects whole documents
	where   expression // nil if there is no condition
}

// Matches reports whether the query selects the document.
func (q *Query) Matches(d Document) bool {
	return q.where == nil || isTrue(q.where, d)
}

// Error tells where and why a query is refused.
type Error struct {
	// Position is the position of the token in characters, beginning with 1.
	Position int
	// Token is the unexpected part of the query, shortened if it is long. It is
	// empty if the query ends too early.
	Token string
	// Reason explains the refusal to the author of the query.
	Reason string
}

// Error returns position, token and reason.
func (e *Error) Error() string {
	if e.Token == "" {
		return fmt.Sprintf("position %d, end of the query: %s", e.Position, e.Reason)
	}
	return fmt.Sprintf("position %d, token %s: %s", e.Position, e.Token, e.Reason)
}
