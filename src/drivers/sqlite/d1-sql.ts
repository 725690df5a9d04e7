/**
 * The SQL of D1, which offers no transaction that could be read in: a whole request is evaluated by triggers.
 *
 * One row inserted into the view `holdfast_commits` is one commit. Its trigger notes the checks that do not hold in
 * `holdfast_answers`, and where there are none, inserts the ops into the view `holdfast_ops`, which has a trigger for
 * each kind. So a commit sees what those before it did, and nothing is limited by the number of parameters.
 *
 * @module
 */
import { SWEEP } from '../../core/sweeps.ts'
import { MAX_TIME } from '../../core/arguments.ts'
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.ts'

/** The clock of D1, in whole milliseconds since 1970. */
const NOW = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`

/** The value of an op: in its JSON as text or as hex, or bound to a statement of its own because it is large. */
const VALUE = `CASE NEW.form WHEN 'text' THEN NEW.value WHEN 'hex' THEN unhex(NEW.value)
  ELSE (SELECT value FROM holdfast_staged WHERE request = NEW.request AND n = NEW.value) END`
const REPLACE = `ON CONFLICT (part, key) DO UPDATE SET
  version = excluded.version, expires_at = excluded.expires_at, value = excluded.value`
const liveAt = (now: string): string => `(e.expires_at IS NULL OR e.expires_at > ${now})`
const onOp = (kind: string): string =>
  `CREATE TRIGGER holdfast_${kind} INSTEAD OF INSERT ON holdfast_ops WHEN NEW.kind = '${kind}' BEGIN`
/** The number that the last append of this commit was given. */
const APPENDED = `(SELECT seqs ->> '$[#-1]' FROM holdfast_answers WHERE request = NEW.request AND n = NEW.n AND item = -1)`

/** What D1 has besides the schema that all share; the first version of it. */
const TRIGGERS = [
  `CREATE TABLE holdfast_staged (
    request TEXT NOT NULL, n INTEGER NOT NULL, value ANY NOT NULL, PRIMARY KEY (request, n)
  ) STRICT, WITHOUT ROWID`,
  // While a request is applied: item -1 has the numbers of appends, any other is a check that did not hold; n = -1 has
  // the time by which the request is judged.
  `CREATE TABLE holdfast_answers (
    request TEXT NOT NULL, n INTEGER NOT NULL, item INTEGER NOT NULL, seqs TEXT, last INTEGER,
    key TEXT, version TEXT, expires_at INTEGER, value ANY, PRIMARY KEY (request, n, item)
  ) STRICT, WITHOUT ROWID`,
  `CREATE VIEW holdfast_commits AS SELECT '' AS request, 0 AS n, '' AS body, 0 AS now`,
  `CREATE VIEW holdfast_ops AS SELECT '' AS request, 0 AS n, '' AS version, '' AS kind, '' AS part, '' AS key,
    '' AS form, '' AS value, 0 AS expires_at, '' AS ref`,
  `CREATE VIEW holdfast_ends AS SELECT '' AS request, 0 AS commits, 0 AS expires_at`,
  `CREATE TRIGGER holdfast_commit INSTEAD OF INSERT ON holdfast_commits BEGIN
    INSERT INTO holdfast_answers (request, n, item, key, version, expires_at, value)
      SELECT NEW.request, NEW.n, c.value ->> 0, e.key, e.version, e.expires_at, e.value
      FROM json_each(NEW.body, '$.at') AS c LEFT JOIN holdfast_entries AS e
        ON e.part = c.value ->> 1 AND e.key = c.value ->> 2 AND ${liveAt('NEW.now')}
      WHERE e.version IS NOT c.value ->> 3;
    INSERT INTO holdfast_answers (request, n, item, last)
      SELECT NEW.request, NEW.n, item, last FROM (
        SELECT c.value ->> 0 AS item, c.value ->> 4 AS wanted, coalesce((
          SELECT CAST(substr(e.key, -16) AS INTEGER) FROM holdfast_entries AS e
          WHERE e.part = c.value ->> 1 AND e.key >= c.value ->> 2 AND e.key < c.value ->> 3
          ORDER BY e.key DESC LIMIT 1), 0) AS last
        FROM json_each(NEW.body, '$.logs') AS c
      ) WHERE last <> wanted;
    INSERT INTO holdfast_ops
      SELECT NEW.request, NEW.n, NEW.body ->> '$.id', o.value ->> 0, o.value ->> 1, o.value ->> 2, o.value ->> 3,
        o.value ->> 4, coalesce(min(NEW.now + (o.value ->> 5), ${MAX_TIME}), o.value ->> 6), o.value ->> 7
      FROM json_each(NEW.body, '$.ops') AS o
      WHERE NOT EXISTS (SELECT 1 FROM holdfast_answers WHERE request = NEW.request AND n = NEW.n)
      ORDER BY o.key;
  END`,
  `${onOp('put')}
    INSERT INTO holdfast_entries (part, key, version, expires_at, value)
      VALUES (NEW.part, NEW.key, NEW.version, NEW.expires_at, ${VALUE}) ${REPLACE};
  END`,
  `${onOp('append')}
    INSERT INTO holdfast_answers (request, n, item, seqs) VALUES (NEW.request, NEW.n, -1, json_array(1 + coalesce((
        SELECT CAST(substr(key, -16) AS INTEGER) FROM holdfast_entries
        WHERE part = NEW.part AND key >= NEW.key AND key < substr(NEW.key, 1, length(NEW.key) - 1) || '"'
        ORDER BY key DESC LIMIT 1), 0)))
      ON CONFLICT (request, n, item) DO UPDATE SET seqs = json_insert(seqs, '$[#]', excluded.seqs ->> 0);
    INSERT INTO holdfast_entries (part, key, version, expires_at, value)
      VALUES (NEW.part, NEW.key || printf('%016d', ${APPENDED}), NEW.version, NULL, ${VALUE});
    INSERT INTO holdfast_entries (part, key, version, expires_at, value)
      SELECT NEW.part, NEW.ref, NEW.version, NULL, CAST(${APPENDED} AS TEXT) WHERE NEW.ref IS NOT NULL ${REPLACE};
  END`,
  `${onOp('delete')} DELETE FROM holdfast_entries WHERE part = NEW.part AND key = NEW.key; END`,
  `${onOp('deleteRange')}
    DELETE FROM holdfast_entries WHERE part = NEW.part AND key >= NEW.key AND key < NEW.value;
  END`,
  `${onOp('deletePart')} DELETE FROM holdfast_entries WHERE part = NEW.part; END`,
  // The record of a request that took effect, as its answers without what is stored.
  `CREATE TRIGGER holdfast_end INSTEAD OF INSERT ON holdfast_ends BEGIN
    INSERT OR REPLACE INTO holdfast_requests (id, record, expires_at)
      SELECT NEW.request, json_group_array(json_array(n, item, json(coalesce(seqs, 'null')))) FILTER (WHERE n >= 0),
        NEW.expires_at
      FROM holdfast_answers WHERE request = NEW.request
      HAVING NEW.commits > count(DISTINCT CASE WHEN item >= 0 THEN n END) AND count(*) > 0;
    DELETE FROM holdfast_answers WHERE request = NEW.request;
    DELETE FROM holdfast_staged WHERE request = NEW.request;
    DELETE FROM holdfast_requests WHERE id IN (
      SELECT id FROM holdfast_requests WHERE expires_at <= ${NOW} ORDER BY expires_at LIMIT ${SWEEP});
  END`,
]

/** What leads from each version to the next; as long as the list that all share. */
const ADDED: readonly (readonly string[])[] = [TRIGGERS]

/** Whether what D1 has besides is there, as a row or none: a file of another driver of SQLite does without. */
export const FIND_ADDED: string = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'holdfast_answers'`

/** The statements that lead from a version of the schema, and of what D1 has besides, to this one. */
export const upgradeFrom = (version: number, added: number): string[] => [
  ...ADDED.slice(added, version).flat(),
  ...MIGRATIONS.slice(version).flatMap((statements, i) => [...statements, ...(ADDED[version + i] ?? [])]),
  `UPDATE holdfast_schema SET version = ${SCHEMA_VERSION}`,
]

/** (request): the moment by which it is judged, unless it took effect before; without it, no commit is applied. */
export const BEGIN: string = `INSERT INTO holdfast_answers (request, n, item, last)
  SELECT ?1, -1, -2, ${NOW}
  WHERE NOT EXISTS (SELECT 1 FROM holdfast_requests WHERE id = ?1 AND expires_at > ${NOW})`

/** (request, n, value) */
export const STAGE: string = 'INSERT INTO holdfast_staged (request, n, value) VALUES (?1, ?2, ?3)'

/** (request, JSON of commits, number of the first) */
export const COMMITS: string = `INSERT INTO holdfast_commits
  SELECT ?1, ?3 + c.key, c.value, begun.last FROM json_each(?2) AS c
  JOIN holdfast_answers AS begun ON begun.request = ?1 AND begun.n = -1 ORDER BY c.key`

/** (request): what came of it; of one that took effect before, the record. */
export const ANSWERS: string = `SELECT ${NOW} AS now, n, item, seqs, last, key, version, expires_at, value
    FROM holdfast_answers WHERE request = ?1
  UNION ALL
  SELECT ${NOW}, -2, 0, record, NULL, NULL, NULL, NULL, NULL FROM holdfast_requests WHERE id = ?1 AND expires_at > ${NOW}`

/** (request, number of commits, window in milliseconds) */
export const END: string = `INSERT INTO holdfast_ends VALUES (?1, ?2, ${NOW} + ?3)`

/** (limit) */
export const SWEEP_ENTRIES: string = `DELETE FROM holdfast_entries WHERE (part, key) IN
  (SELECT part, key FROM holdfast_entries WHERE expires_at <= ${NOW} ORDER BY expires_at LIMIT ?1)`

const step = (column: 'min' | 'max', where: string): string => `(SELECT ${column}(e.key) FROM holdfast_entries AS e
  WHERE e.part = asked.part AND ${where} AND ${liveAt('asked.now')})`

/**
 * (JSON of [part, start, end, limit, flags] per question): any number of pages in one statement, each walked from key to
 * key by a seek. A get is a page of one. Flag 1: from the end downwards; 2: keys only.
 */
export const READ: string = `WITH RECURSIVE
  asked (i, now, part, start, stop, most, flags) AS MATERIALIZED (
    SELECT q.key, ${NOW}, q.value ->> 0, q.value ->> 1, q.value ->> 2, q.value ->> 3, q.value ->> 4 FROM json_each(?1) AS q
  ),
  walk (i, key, room) AS (
    SELECT i, CASE flags & 1 WHEN 1
        THEN ${step('max', 'e.key >= asked.start AND e.key < asked.stop')}
        ELSE ${step('min', 'e.key >= asked.start AND e.key < asked.stop')} END, most - 1
      FROM asked
    UNION ALL
    SELECT walk.i, CASE flags & 1 WHEN 1
        THEN ${step('max', 'e.key >= asked.start AND e.key < walk.key')}
        ELSE ${step('min', 'e.key > walk.key AND e.key < asked.stop')} END, room - 1
      FROM walk JOIN asked ON asked.i = walk.i WHERE room > 0 AND walk.key IS NOT NULL
  )
  SELECT asked.now, walk.i, e.key, e.version, e.expires_at,
    CASE WHEN asked.flags & 2 THEN '' ELSE e.value END AS value
  FROM walk JOIN asked ON asked.i = walk.i
    JOIN holdfast_entries AS e ON e.part = asked.part AND e.key = walk.key`

/** The clock alone, of a database whose tables are there. */
export const CLOCK: string = `SELECT ${NOW} AS now FROM holdfast_schema`

/** (start, end, limit): the names of parts, a seek each. */
export const PARTS: string = `WITH RECURSIVE names (name) AS (
    SELECT min(part) FROM holdfast_entries WHERE part >= ?1 AND part < ?2
    UNION ALL
    SELECT (SELECT min(part) FROM holdfast_entries WHERE part > names.name AND part < ?2)
    FROM names WHERE names.name IS NOT NULL
  ) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?3`
