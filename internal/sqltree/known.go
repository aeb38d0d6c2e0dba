package sqltree

import "strings"

// labels are the kinds of nodes that a SELECT can be made of in PostgreSQL 14 to 18.
// Not among them is what locks, writes, takes numbers from sequences or is made by
// the planner.
var labels = set(`
	QUERY RTE RANGETBLENTRY RTEPERMISSIONINFO ALIAS RANGETBLREF FROMEXPR JOINEXPR RANGETBLFUNCTION TABLESAMPLECLAUSE TABLEFUNC
	TARGETENTRY COMMONTABLEEXPR CTESEARCHCLAUSE CTECYCLECLAUSE SETOPERATIONSTMT SORTGROUPCLAUSE GROUPINGSET WINDOWCLAUSE
	VAR CONST PARAM AGGREF GROUPINGFUNC WINDOWFUNC SUBSCRIPTINGREF FUNCEXPR NAMEDARGEXPR OPEXPR DISTINCTEXPR NULLIFEXPR
	SCALARARRAYOPEXPR BOOLEXPR SUBLINK FIELDSELECT RELABELTYPE COERCEVIAIO ARRAYCOERCEEXPR CONVERTROWTYPEEXPR COLLATE COLLATEEXPR
	CASE CASEEXPR WHEN CASEWHEN CASETESTEXPR ARRAY ARRAYEXPR ROW ROWEXPR ROWCOMPARE ROWCOMPAREEXPR COALESCE COALESCEEXPR
	MINMAX MINMAXEXPR SQLVALUEFUNCTION XMLEXPR NULLTEST BOOLEANTEST COERCETODOMAIN COERCETODOMAINVALUE
	JSONFORMAT JSONRETURNING JSONVALUEEXPR JSONCONSTRUCTOREXPR JSONISPREDICATE JSONBEHAVIOR JSONEXPR JSONTABLEPATH
	JSONTABLEPATHSCAN JSONTABLESIBLINGJOIN`)

// A role is what a number means.
type role uint8

const (
	plain      role = iota // no OID of anything that matters here
	function               // that the node calls by name
	behind                 // a function behind an operator
	operator               // whose function the node does not tell
	typ                    // of a value
	table                  // a relation
	callFormat             // how the function is called
)

// fields are those whose numbers may be as large as OIDs of what users have made.
var fields = func() map[string]role {
	m := map[string]role{}
	for r, names := range map[role]string{
		function: "funcid aggfnoid winfnoid tsmhandler startInRangeFunc endInRangeFunc",
		behind:   "opfuncid hashfuncid negfuncid",
		operator: "opno opnos eqop sortop cycle_mark_neop aggsortop inRangeOp",
		typ: `vartype consttype paramtype funcresulttype opresulttype aggtype aggtranstype aggargtypes wintype refcontainertype
			refelemtype refrestype resulttype casetype typeId array_typeid element_typeid row_typeid coalescetype minmaxtype type
			coltypes ctecoltypes colTypes funccoltypes cycle_mark_type typid basetypeid argtype elemtype`,
		table: "relid",
		// locations count bytes of the text; the rest are modifiers, limits in bits,
		// collations, families of operators, roles and what the planner fills in
		plain: `location stmt_location stmt_len list_start list_end rexpr_list_start rexpr_list_end name_location
			consttypmod vartypmod paramtypmod reftypmod resulttypmod typeMod typmod colTypmods coltypmods ctecoltypmods funccoltypmods
			constcollid varcollid paramcollid funccollid inputcollid opcollid aggcollid wincollid refcollid resultcollid casecollid
			array_collid coalescecollid minmaxcollid collOid collation colCollations colcollations ctecolcollations funccolcollations
			cycle_mark_collation inputcollids opfamilies inRangeColl collid
			frameOptions constvalue checkAsUser requiredPerms queryId selectedCols insertedCols updatedCols extraUpdatedCols reltablespace
			resorigtbl varnosyn varnoold paramid constlen`,
		callFormat: "funcformat",
	} {
		for _, name := range strings.Fields(names) {
			m[name] = r
		}
	}
	return m
}()

// extra are the fields with more than one token: the bytes of a value.
var extra = set("constvalue")

func set(names string) map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(names) {
		m[name] = true
	}
	return m
}
