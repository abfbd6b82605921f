// Package query is the language in which a service asks for twins: it parses
// one query and says which documents it wants.
//
// Known from Microsoft, "IoT Hub query language for device and module twins,
// jobs, and message routing" and "Queries for IoT Hub device and module
// twins": the clauses, SELECT of all, of some members, and of COUNT(), from
// devices and devices.modules, operators, IN and NIN with a list in square
// brackets, IS_DEFINED, literals and their escapes, that a condition holds only
// if it is true and that everything else counts as false, that only primitive
// values are compared, and the longest query. From public issues and Microsoft's
// own tools: STARTSWITH and ENDSWITH (MicrosoftDocs/azure-docs 85381 and 110329:
// the spellings with an underscore, which the page has for routes, are refused),
// the other functions, names after "devices." and a quote written twice within a
// text (Azure/Industrial-IoT, SqlSelect.g4; Azure IoT Explorer; microsoft/mcp),
// reserved words as names only in double square brackets (azure-docs 17106).
// Array indexes are those of routing queries.
//
// Decided here, because no page says it:
//   - A comparison with something that is missing, with an object or with an
//     array is false, and so are IN and NIN; NOT makes any of them true.
//   - Values of different types are unequal, and none is before the other.
//     Texts compare by code points, and so do times, which are texts.
//   - Names that IoT Hub gives (deviceId, properties.reported) are found in any
//     case, as the pages' examples have it; names in tags and properties, which
//     the pages call case-sensitive, only as they are written.
//   - What is selected without AS has the last name of its path, as IoT Hub
//     writes it; what a document does not have is left out of its row. COUNT()
//     needs a name, and stands alone.
//   - A path that leaves the form of a twin (tag.x, status.y) is an error: it
//     would find nothing for ever.
//
// Everything else is refused with an Error that names the token: a query that
// is not understood never passes for one that finds nothing. Refused although
// the pages have it: devices.jobs, GROUP BY, TOP, the other aggregates,
// arithmetic, the constant undefined.
package query

import "fmt"

const (
	// maxLength of a query, in characters (Microsoft, "Queries for IoT Hub
	// device and module twins", section "Twin query limitations").
	maxLength = 8192
	// maxDepth is how deep conditions may be nested; ours.
	maxDepth = 100
)

// Collection is what a query chooses from.
type Collection string

// The collections of twins.
const (
	Devices Collection = "devices"
	Modules Collection = "devices.modules"
)

// Document is a twin as a query sees it: the members of its JSON form, as
// encoding/json decodes them with UseNumber. An int64 and a time.Time in it
// stand for what JSON makes of them.
type Document map[string]any

// Query is a query that was understood. It does not change and is safe for
// concurrent use.
type Query struct {
	// From is the collection it is about.
	From Collection
	// Count is the name that the number of documents is to have, if the query
	// wants that number and no documents; else empty.
	Count string

	columns []column   // nil if it selects all
	where   expression // nil if there is none
}

// Matches says whether the query wants the document.
func (q *Query) Matches(d Document) bool {
	return q.where == nil || holds(q.where, d)
}

// Error says why and where a query was not understood.
type Error struct {
	// Position of the token, in characters, the first being 1.
	Position int
	// Token is the piece of the query that was not expected, shortened if it
	// is long; empty if the query ended too soon.
	Token string
	// Reason is fit for whoever wrote the query.
	Reason string
}

// Error gives position, reason and token.
func (e *Error) Error() string {
	if e.Token == "" {
		return fmt.Sprintf("position %d, end of the query: %s", e.Position, e.Reason)
	}
	return fmt.Sprintf("position %d, token %s: %s", e.Position, e.Token, e.Reason)
}
