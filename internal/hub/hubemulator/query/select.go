package query

import "slices"

// column is a selected path with its name in the row.
type column struct {
	name string
	path path
}

// All reports whether the query selects whole documents, and not rows or a count.
func (q *Query) All() bool {
	return q.Count == "" && q.columns == nil
}

// Row returns the selected members of a document by column name.
func (q *Query) Row(d Document) map[string]any {
	row := make(map[string]any, len(q.columns))
	for _, c := range q.columns {
		if v, ok := c.path.find(d); ok {
			row[c.name] = v
		}
	}
	return row
}

// selection parses the part between SELECT and FROM.
func (p *parser) selection(q *Query) error {
	if p.accept("*") {
		return nil
	}
	if p.current.is("COUNT") {
		return p.count(q)
	}
	for {
		t := p.current
		c, err := p.column()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(q.columns, func(other column) bool { return other.name == c.name }) {
			return refuse(t, "there is another column of this name; AS gives it one of its own")
		}
		q.columns = append(q.columns, c)
		if !p.accept(",") {
			return nil
		}
	}
}

func (p *parser) count(q *Query) error {
	p.advance()
	if err := p.expect("(", "( is expected"); err != nil {
		return err
	}
	if err := p.expect(")", "COUNT() counts documents, and takes nothing"); err != nil {
		return err
	}
	if err := p.expect("AS", "AS and a name are expected"); err != nil {
		return err
	}
	var err error
	q.Count, err = p.alias()
	return err
}

// column parses a path and its optional alias.
func (p *parser) column() (column, error) {
	for _, word := range []string{"TOP", "AVG", "SUM", "MIN", "MAX"} {
		if p.current.is(word) {
			return column{}, p.refuse(word + " is not supported")
		}
	}
	if p.current.is("COUNT") {
		return column{}, p.refuse("COUNT() stands alone: GROUP BY is not supported")
	}
	found, err := p.path()
	if err != nil {
		return column{}, err
	}
	c := column{name: found.name(), path: found}
	if p.accept("AS") {
		c.name, err = p.alias()
	}
	return c, err
}

// alias parses the name after AS.
func (p *parser) alias() (string, error) {
	name, err := nameOf(p.current)
	p.advance()
	return name, err
}
