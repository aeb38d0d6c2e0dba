package sqlcatalog

// Columns is how many columns SQL returns.
const Columns = 6

// SQL asks for everything that a [Snapshot] is made of, for a session with
// search_path pg_catalog. It reads only what PostgreSQL shows to everybody, and
// not the source of functions. Its rows are a letter that says what the row is,
// an OID, another OID, a schema, a name and a detail:
//
//	n  schema
//	f  function: detail is volatility, d if SECURITY DEFINER, 1 if it can be called with one argument, p if PostgreSQL's own or t if made with a range type, extension
//	o  operator that is not PostgreSQL's own, of the function with the other OID
//	c  cast that is not PostgreSQL's own, by the function with the other OID, to the type in the detail
//	t  type that is not PostgreSQL's own
//	e  type that contains values of the other type
//	d  domain whose CHECK, or range type which, calls the function with the other OID
//	r  relation with rows of the other type: detail is its kind, p if PostgreSQL's own, extension
//	v  view that uses what the detail names, with the other OID
//	h  table under which a foreign table hangs
//	a  column, whose number is the other OID, of a relation that has some to be kept
const SQL = `
WITH RECURSIVE ext AS (
	SELECT d.classid, d.objid, e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
), above(oid) AS (
	SELECT i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'f'
	UNION SELECT i.inhparent FROM pg_inherits i JOIN above a ON a.oid = i.inhrelid
)
SELECT 'n', oid, 0::oid, nspname::text, '', '' FROM pg_namespace
UNION ALL SELECT 'f', p.oid, 0, n.nspname, p.proname, p.provolatile::text || CASE WHEN p.prosecdef THEN 'd' ELSE '-' END
	|| CASE WHEN p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 THEN '1' ELSE '-' END
	|| CASE WHEN p.oid < 16384 THEN 'p' WHEN EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i') THEN 't' ELSE '-' END || coalesce(x.extname, '')
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	LEFT JOIN ext x ON x.classid = 'pg_proc'::regclass AND x.objid = p.oid WHERE p.prokind <> 'p'
UNION ALL SELECT 'o', o.oid, o.oprcode, n.nspname, o.oprname, ''
	FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= 16384
UNION ALL SELECT 'c', castsource, castfunc, '', '', casttarget::text FROM pg_cast WHERE oid >= 16384 AND castfunc <> 0
UNION ALL SELECT 't', t.oid, 0, n.nspname, t.typname, '' FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384
UNION ALL SELECT 'e', t.oid, x, '', '', '' FROM pg_type t, unnest(ARRAY[t.typbasetype, t.typelem]) x WHERE t.oid >= 16384 AND x >= 16384
UNION ALL SELECT 'e', t, rngsubtype, '', '', '' FROM pg_range, unnest(ARRAY[rngtypid, rngmultitypid]) t WHERE rngsubtype >= 16384
UNION ALL SELECT 'e', c.reltype, a.atttypid, '', '', '' FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE a.atttypid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped AND c.reltype <> 0
UNION ALL SELECT DISTINCT 'd', k.contypid, m[1]::oid, '', '', ''
	FROM pg_constraint k, regexp_matches(k.conbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') m WHERE k.contypid >= 16384
UNION ALL SELECT 'd', rngtypid, f, '', '', '' FROM pg_range, unnest(ARRAY[rngcanonical, rngsubdiff]::oid[]) f WHERE rngtypid >= 16384 AND f <> 0
UNION ALL SELECT 'r', c.oid, c.reltype, n.nspname, c.relname, c.relkind::text || CASE WHEN c.oid < 16384 THEN 'p' ELSE '-' END || coalesce(x.extname, '')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN ext x ON x.classid = 'pg_class'::regclass AND x.objid = c.oid
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL SELECT DISTINCT 'v', w.ev_class, m[2]::oid, '', '', m[1]
	FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class AND c.relkind = 'v',
		regexp_matches(w.ev_action::text, ':(funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|relid|resulttype) (\d+)', 'g') m
	WHERE c.oid >= 16384 AND m[2] <> '0' AND (m[1] <> 'resulttype' OR length(m[2]) >= 5)
UNION ALL SELECT 'h', oid, 0, '', '', '' FROM above
UNION ALL SELECT 'a', attrelid, attnum::int::oid, '', attname, '' FROM pg_attribute
	WHERE attrelid IN ('pg_proc'::regclass, 'pg_stat_activity'::regclass, 'information_schema.routines'::regclass) AND attnum > 0`

// StampSQL asks for a text that is another one once something has been made or
// changed that SQL returns, up to a second or so later. It costs little.
const StampSQL = `
SELECT concat_ws(' ',
	(SELECT max(oid) FROM pg_proc), (SELECT max(oid) FROM pg_class), (SELECT max(oid) FROM pg_type), (SELECT max(oid) FROM pg_operator),
	(SELECT max(oid) FROM pg_cast), (SELECT max(oid) FROM pg_rewrite), (SELECT max(oid) FROM pg_constraint), (SELECT max(oid) FROM pg_namespace),
	(SELECT string_agg(concat(pg_stat_get_tuples_inserted(c), '+', pg_stat_get_tuples_updated(c), '-', pg_stat_get_tuples_deleted(c)), ' ')
		FROM unnest(ARRAY['pg_proc', 'pg_class', 'pg_type', 'pg_operator', 'pg_cast', 'pg_rewrite', 'pg_constraint', 'pg_namespace', 'pg_extension',
			'pg_inherits', 'pg_attribute']::regclass[]) c))`
