package pgtool

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	maxSpill   = 64 << 20 // bytes of temporary files, as the planner estimates them
	workMem    = 16 << 20 // of one node of a plan, as in limits
	maxPlanned = 4_096    // verdicts that are kept
	planAge    = time.Minute
)

// plans are verdicts on plans, by statement and arguments.
type plans struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]planned
}

type planned struct {
	err error
	at  time.Time
}

// lookAtDisk finds out whether the server bounds what a statement of the role writes
// to the disk, which only a superuser can change.
func (db *DB) lookAtDisk(ctx context.Context) error {
	r, err := db.query(ctx, &query{sql: "SELECT current_setting('temp_file_limit') = '-1'", own: true, anyone: true, maxRows: 1, maxBytes: 100})
	if err != nil {
		return err
	}
	for v := range r.each {
		db.diskOpen = string(v[0]) == "t"
	}
	return nil
}

// affordable looks at the plan of a statement that is about to be sent, if it could
// fill the disk and the role has no temp_file_limit, or if there is a MaxCost. The
// estimates can be wrong; temp_file_limit cannot.
func (db *DB) affordable(ctx context.Context, q *query) error {
	if q.runs == "" || db.o.MaxCost == 0 && (!db.diskOpen || !q.spills) {
		return nil
	}
	key := q.key()
	db.plans.mu.Lock()
	p, ok := db.plans.known[key]
	db.plans.mu.Unlock()
	if ok && time.Since(p.at) < planAge {
		return p.err
	}
	err := db.plan(ctx, q)
	if verdict := (*mcpsec.Error)(nil); err == nil || errors.As(err, &verdict) && verdict.Rule == planRule {
		db.plans.keep(key, err)
	}
	return err
}

func (p *plans) keep(key [sha256.Size]byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPlanned {
		p.known = map[[sha256.Size]byte]planned{}
	}
	p.known[key] = planned{err, time.Now()}
}

// key is another one for each statement with its arguments, and for each tenant, whose
// policies make another plan of it.
func (q *query) key() [sha256.Size]byte {
	h := sha256.New()
	tenant := ""
	if q.tenant != nil {
		tenant = q.tenant.mark
	}
	for _, part := range append([][]byte{[]byte(q.runs), []byte(tenant)}, q.args...) {
		n := uint64(len(part))
		if part == nil {
			n = math.MaxUint64
		}
		_ = binary.Write(h, binary.BigEndian, n) // a hash takes everything
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

const planRule = "plan"

// plan asks for the plan of a statement, which does not run it, under the limits of
// the statement itself.
func (db *DB) plan(ctx context.Context, q *query) error {
	const explain = "EXPLAIN (FORMAT JSON) "
	e := *q
	e.sql, e.maxRows, e.maxBytes = explain+q.runs, 1, maxCatalog
	r, err := db.query(ctx, &e)
	if reported := (*pgconn.PgError)(nil); errors.As(err, &reported) && reported.Position > 0 {
		before := strings.TrimSuffix(q.sql, q.runs) // EXPLAIN (ANALYZE), if it is one
		reported.Position += int32(utf8.RuneCountInString(before) - len(explain))
	}
	if err != nil {
		return modelError(shifted(err, q))
	}
	var text []byte
	for v := range r.each {
		text = v[0]
	}
	var all []struct{ Plan *spillNode }
	if r.rows == 0 {
		return &mcpsec.Error{Message: "the statement's plan is too large; make it simpler", Rule: planRule}
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 || all[0].Plan == nil {
		return errors.New("the server's plan is not as expected")
	}
	return db.judgePlan(all[0].Plan, q.sorts)
}

func (db *DB) judgePlan(n *spillNode, sorts bool) error {
	if db.o.MaxCost > 0 && n.Cost > db.o.MaxCost {
		return &mcpsec.Error{Message: fmt.Sprintf("the statement costs too much: the planner says %.0f, and the operator allows %.0f; "+
			"read fewer rows, by a condition on an indexed column", n.Cost, db.o.MaxCost), Rule: planRule}
	}
	if bytes := n.spill(sorts); db.diskOpen && bytes > maxSpill {
		return &mcpsec.Error{Message: fmt.Sprintf("the statement would fill about %.0f MB of the server's disk, and may fill %d: sort, group, join or "+
			"materialise fewer rows or columns; an operator who sets temp_file_limit on the role can allow more", bytes/(1<<20), maxSpill>>20), Rule: planRule}
	}
	return nil
}

// A spillNode is a node of a plan, with what tells how much it keeps.
type spillNode struct {
	Node     string       `json:"Node Type"`
	Strategy string       `json:"Strategy"`
	Subplan  string       `json:"Subplan Name"`
	Parent   string       `json:"Parent Relationship"`
	Cost     float64      `json:"Total Cost"`
	Rows     float64      `json:"Plan Rows"`
	Width    float64      `json:"Plan Width"`
	Plans    []*spillNode `json:"Plans"`
}

// rowHead is what a row in a temporary file has beside its values.
const rowHead = 16

// width is the size of a row. The planner takes what is computed for 32 bytes, so
// that it is no less than what it can be computed from.
func (n *spillNode) width() float64 {
	below := 0.0
	for _, p := range n.Plans {
		if p.Parent == "Outer" || p.Parent == "Inner" || p.Parent == "Subquery" || p.Parent == "Member" {
			below += p.width()
		}
	}
	return math.Max(n.Width, below)
}

func (n *spillNode) size() float64 { return n.Rows * (n.width() + rowHead) }

// input is the size of what the node reads.
func (n *spillNode) input(parent string) (size float64) {
	for _, p := range n.Plans {
		if p.Parent == parent {
			size += p.size()
		}
	}
	return size
}

// spill is how many bytes the node and those below it write to temporary files.
// Whether a plain aggregate sorts, for DISTINCT or ORDER BY of its own, the plan
// does not tell.
func (n *spillNode) spill(sorts bool) (sum float64) {
	add := func(bytes float64) {
		if bytes > workMem {
			sum += bytes
		}
	}
	switch n.Node {
	case "Sort", "Incremental Sort", "Materialize", "Function Scan", "Table Function Scan", "Recursive Union", "SetOp":
		add(n.size())
	case "Hash Join":
		if inner := n.input("Inner"); inner > workMem {
			sum += inner + n.input("Outer")
		}
	case "Aggregate":
		if hashed := n.Strategy == "Hashed" || n.Strategy == "Mixed"; sorts || hashed && n.size() > workMem {
			add(n.input("Outer"))
		}
	case "WindowAgg":
		add(n.input("Outer"))
	}
	if strings.HasPrefix(n.Subplan, "CTE ") {
		add(n.size())
	}
	for _, p := range n.Plans {
		if p != nil {
			sum += p.spill(sorts)
		}
	}
	return sum
}

// canSpill reports whether a query could fill the disk: one that reads a single
// table in no order cannot. sorts tells whether an aggregate could sort.
func canSpill(tokens []sqllex.Token) (spills, sorts bool) {
	selects, from := 0, false
	for i, t := range tokens {
		open := i > 0 && tokens[i-1].Is("(")
		switch w := keyword(t); {
		case w == "select":
			selects++
		case w == "from":
			from = true
		case w == "where":
			from = false
		case from && (t.Is(",") || t.Is("(")), slices.Contains(spillers, w):
			spills = true
		}
		sorts = sorts || open && keyword(t) == "distinct" || keyword(t) == "within" || keyword(t) == "order"
	}
	return spills || selects > 1, sorts
}

var spillers = []string{"with", "order", "group", "distinct", "join", "union", "intersect", "except", "over", "window", "within", "lateral", "table", "values"}

func keyword(t sqllex.Token) string {
	if t.Kind == sqllex.Word {
		return t.Value
	}
	return ""
}
