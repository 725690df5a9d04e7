/**
 * The SQL of D1 and libSQL. They have no interactive transactions, so triggers evaluate a whole request.
 *
 * One row inserted into the view `holdfast_commits` is one commit. Its trigger writes failed checks to
 * `holdfast_answers`. If there are none, it inserts the ops into the view `holdfast_ops`, which has a trigger for each
 * kind of op. So a commit sees the effects of earlier commits, and the number of parameters limits nothing.
 *
 * First, `holdfast_begins` decides by the database's clock whether the request is executed at all. A repeat of a
 * request with a record executes nothing. It only looks up again the checks that failed.
 *
 * @module
 */
import { MAX_TIME } from '../../core/arguments.ts'
import { DIGITS, LAST_NUMBER } from '../../core/keys.ts'
import { entryBytes } from '../../core/limits.ts'
import { SWEEP } from '../shared/sweep-schedule.ts'
import { isLong, octetsOf, valueOf } from './long-values.ts'
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.ts'

/** The database's clock, in whole milliseconds since 1970. */
const NOW = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`

/** The error that the triggers raise if something else is under the prefix of a log. */
export const NOT_A_LOG = 'holdfast: the last key under the prefix of a log is no number'

/** The value of an op: as text or hex in its JSON, or if it is large, as a parameter of its own statement. */
const VALUE = `CASE NEW.form WHEN 'text' THEN NEW.value WHEN 'hex' THEN unhex(NEW.value)
  ELSE (SELECT value FROM holdfast_staged WHERE request = NEW.request AND n = NEW.value) END`
const IS_LONG = isLong('NEW.part', 'NEW.key', 'NEW.value')
const liveAt = (now: string): string => `(e.expires_at IS NULL OR e.expires_at > ${now})`
const onOp = (kind: string): string =>
  `CREATE TRIGGER holdfast_${kind} INSTEAD OF INSERT ON holdfast_ops WHEN NEW.kind = '${kind}' BEGIN`
/** The seq that the last append of this commit was given. */
const APPENDED = `(SELECT said ->> '$[#-1]' FROM holdfast_answers WHERE request = NEW.request AND n = NEW.n AND item = -1)`

const FIRST = '0'.repeat(DIGITS)
/** A seq as it appears in the key of a log entry. */
const digits = (number: string): string => `printf('%0${DIGITS}d', ${number})`
/** The key at which a trimmed log keeps the last seq that was removed. */
const TRIMMED = `NEW.key || '${FIRST}'`

/** The seq in the last key of a log. If a log was trimmed to its end, the seq in the value under that key. */
const lastDigits = (prefix: string): string => {
  const name = `substr(e.key, length(${prefix}) + 1)`
  return `CASE WHEN length(${name}) <> ${DIGITS} THEN NULL WHEN ${name} = '${FIRST}' THEN e.value ELSE ${name} END`
}

/** The seq at which a log ends; NULL if it is empty. `foreign` is the result for a last key that is not a seq. */
const lastOf = (part: string, prefix: string, end: string, foreign: string): string => `(
  SELECT CASE WHEN typeof(l.digits) = 'text' AND length(l.digits) BETWEEN 1 AND ${DIGITS} AND l.digits NOT GLOB '*[^0-9]*'
    AND CAST(l.digits AS INTEGER) <= ${LAST_NUMBER} THEN CAST(l.digits AS INTEGER) ELSE ${foreign} END
  FROM (SELECT ${lastDigits(prefix)} AS digits FROM holdfast_keys AS e
    WHERE e.part = ${part} AND e.key >= ${prefix} AND e.key < ${end} ORDER BY e.key DESC LIMIT 1) AS l)`
const REFUSED = `RAISE(ABORT, '${NOT_A_LOG}')`
/** The same for the log of an op. */
const LAST = `coalesce(${lastOf('NEW.part', 'NEW.key', `substr(NEW.key, 1, length(NEW.key) - 1) || '"'`, REFUSED)}, 0)`

/** The size of an entry in an answer, as in `core/limits.ts`. */
const SIZE_OF_KEY = `${entryBytes({ key: '', version: '', expiresAt: null })} + length(e.key) + length(e.version)`
const SIZE = `${SIZE_OF_KEY} + ${octetsOf('e')}`

/** The most bytes in one column of an answer, which holds 2 MB. */
const HALF = 950_000

/**
 * A value in an answer. Text stays text. Bytes come as hex in two columns, because D1 would return a list of numbers,
 * which takes many times the memory. `rest` is NULL for text, and both columns are NULL if there is no value.
 */
const columnsOf = (value: string): string => `CASE typeof(${value}) WHEN 'blob' THEN hex(substr(${value}, 1, ${HALF}))
    ELSE ${value} END AS value, CASE typeof(${value}) WHEN 'blob' THEN hex(substr(${value}, ${HALF + 1})) END AS rest`

/** Whether a check of a commit failed: now, or for a repeat, by the record. */
const hasFailed = (item: string, now: string): string => `CASE WHEN NEW.verdict IS NULL THEN ${now}
  ELSE ${item} IN (SELECT f.value FROM json_each(NEW.verdict, '$.failed') AS f) END`

/** The additions of these drivers to the shared schema. Its migrations remove them. */
const TRIGGERS = [
  `CREATE TABLE holdfast_staged (
    request TEXT NOT NULL, n INTEGER NOT NULL, value ANY NOT NULL, PRIMARY KEY (request, n)
  ) STRICT, WITHOUT ROWID`,
  // Rows for the request under way. Within a commit, item -1 has the seqs of its appends, and each other item is a
  // failed check. For the request itself, n = -1: item -3 has the verdict and the time of the request, -2 the room left
  // for values, and -1 the record.
  `CREATE TABLE holdfast_answers (
    request TEXT NOT NULL, n INTEGER NOT NULL, item INTEGER NOT NULL, said TEXT, last INTEGER,
    key TEXT, version TEXT, expires_at INTEGER, value ANY, PRIMARY KEY (request, n, item)
  ) STRICT, WITHOUT ROWID`,
  `CREATE VIEW holdfast_begins AS SELECT '' AS request, '' AS digest, 0 AS deadline, 0 AS replay_window, 0 AS room,
    0 AS writes, 0 AS now`,
  `CREATE VIEW holdfast_commits AS SELECT '' AS request, 0 AS n, '' AS body, 0 AS now, '' AS verdict`,
  `CREATE VIEW holdfast_failed AS SELECT '' AS request, 0 AS n, 0 AS item, '' AS part, '' AS key, 0 AS now`,
  `CREATE VIEW holdfast_ops AS SELECT '' AS request, 0 AS n, '' AS version, '' AS kind, '' AS part, '' AS key,
    '' AS form, '' AS value, 0 AS expires_at, '' AS ref`,
  `CREATE VIEW holdfast_puts AS SELECT '' AS part, '' AS key, '' AS version, 0 AS expires_at, '' AS value`,
  `CREATE VIEW holdfast_ends AS SELECT '' AS request, '' AS digest, 0 AS commits, 0 AS replay_window`,
  `CREATE TRIGGER holdfast_begin INSTEAD OF INSERT ON holdfast_begins BEGIN
    DELETE FROM holdfast_keys WHERE (part, key) IN (
      SELECT part, key FROM holdfast_keys WHERE expires_at <= NEW.now ORDER BY expires_at
      LIMIT max(NEW.writes, ${SWEEP}));
    DELETE FROM holdfast_requests WHERE id IN (
      SELECT id FROM holdfast_requests WHERE expires_at <= NEW.now - NEW.replay_window ORDER BY expires_at LIMIT ${SWEEP});
    INSERT INTO holdfast_answers (request, n, item, said, last)
      SELECT NEW.request, -1, -3, CASE
        WHEN r.id IS NULL AND NEW.deadline NOT BETWEEN NEW.now AND NEW.now + NEW.replay_window THEN 'late'
        WHEN r.id IS NULL THEN 'new'
        WHEN r.expires_at <= NEW.now THEN 'late'
        WHEN r.record ->> '$.digest' IS NOT NEW.digest THEN 'reused'
        ELSE 'repeat' END, NEW.now
      FROM (SELECT 1) LEFT JOIN holdfast_requests AS r ON r.id = NEW.request
      UNION ALL SELECT NEW.request, -1, -2, NULL, NEW.room
      UNION ALL SELECT NEW.request, -1, -1, record, NULL FROM holdfast_requests WHERE id = NEW.request;
  END`,
  `CREATE TRIGGER holdfast_commit INSTEAD OF INSERT ON holdfast_commits BEGIN
    INSERT INTO holdfast_failed
      SELECT NEW.request, NEW.n, c.value ->> 0, c.value ->> 1, c.value ->> 2, NEW.now
      FROM json_each(NEW.body, '$.at') AS c LEFT JOIN holdfast_keys AS e
        ON e.part = c.value ->> 1 AND e.key = c.value ->> 2 AND ${liveAt('NEW.now')}
      WHERE ${hasFailed('c.value ->> 0', 'e.version IS NOT c.value ->> 3')} ORDER BY c.key;
    INSERT INTO holdfast_answers (request, n, item, last)
      SELECT NEW.request, NEW.n, item, last FROM (
        SELECT c.value ->> 0 AS item, c.value ->> 4 AS wanted, coalesce(${lastOf(
          'c.value ->> 1',
          'c.value ->> 2',
          'c.value ->> 3',
          // For a repeat, the verdict of the record counts, not the current entries.
          `CASE WHEN NEW.verdict IS NULL THEN ${REFUSED} END`,
        )}, 0) AS last
        FROM json_each(NEW.body, '$.logs') AS c
      ) WHERE ${hasFailed('item', 'last <> wanted')};
    INSERT INTO holdfast_ops
      SELECT NEW.request, NEW.n, NEW.body ->> '$.id', o.value ->> 0, o.value ->> 1, o.value ->> 2, o.value ->> 3,
        o.value ->> 4, coalesce(min(NEW.now + (o.value ->> 5), ${MAX_TIME}), o.value ->> 6), o.value ->> 7
      FROM json_each(NEW.body, '$.ops') AS o
      WHERE NEW.verdict IS NULL AND NOT EXISTS (SELECT 1 FROM holdfast_answers WHERE request = NEW.request AND n = NEW.n)
      ORDER BY o.key;
  END`,
  // One after the other, because each takes from the room that is left.
  `CREATE TRIGGER holdfast_fail INSTEAD OF INSERT ON holdfast_failed BEGIN
    INSERT INTO holdfast_answers (request, n, item, key, version, expires_at, value)
      SELECT NEW.request, NEW.n, NEW.item, e.key, e.version, e.expires_at,
        CASE WHEN ${SIZE} <= room.last THEN ${valueOf('e')} END
      FROM holdfast_answers AS room LEFT JOIN holdfast_keys AS e
        ON e.part = NEW.part AND e.key = NEW.key AND ${liveAt('NEW.now')}
      WHERE room.request = NEW.request AND room.n = -1 AND room.item = -2;
    UPDATE holdfast_answers SET last = last - (
        SELECT ${SIZE_OF_KEY} + octet_length(e.value) FROM holdfast_answers AS e WHERE e.request = NEW.request AND e.n = NEW.n AND e.item = NEW.item)
      WHERE request = NEW.request AND n = -1 AND item = -2 AND EXISTS (
        SELECT 1 FROM holdfast_answers AS e
        WHERE e.request = NEW.request AND e.n = NEW.n AND e.item = NEW.item AND e.value IS NOT NULL);
  END`,
  `CREATE TRIGGER holdfast_put_entry INSTEAD OF INSERT ON holdfast_puts BEGIN
    DELETE FROM holdfast_long_values
      WHERE id = (SELECT long_id FROM holdfast_keys WHERE part = NEW.part AND key = NEW.key);
    INSERT INTO holdfast_long_values (value) SELECT NEW.value WHERE ${IS_LONG};
    INSERT INTO holdfast_keys (part, key, version, expires_at, value, long_id, long_bytes)
      SELECT NEW.part, NEW.key, NEW.version, NEW.expires_at, CASE WHEN ${IS_LONG} THEN '' ELSE NEW.value END,
        CASE WHEN ${IS_LONG} THEN last_insert_rowid() END, CASE WHEN ${IS_LONG} THEN octet_length(NEW.value) END
      WHERE true ON CONFLICT (part, key) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
        value = excluded.value, long_id = excluded.long_id, long_bytes = excluded.long_bytes;
  END`,
  `${onOp('put')}
    INSERT INTO holdfast_puts VALUES (NEW.part, NEW.key, NEW.version, NEW.expires_at, ${VALUE});
  END`,
  `${onOp('append')}
    INSERT INTO holdfast_answers (request, n, item, said) VALUES (NEW.request, NEW.n, -1, json_array(1 + ${LAST}))
      ON CONFLICT (request, n, item) DO UPDATE SET said = json_insert(said, '$[#]', excluded.said ->> 0);
    INSERT INTO holdfast_puts VALUES (NEW.part, NEW.key || ${digits(APPENDED)}, NEW.version, NULL, ${VALUE});
    INSERT INTO holdfast_puts
      SELECT NEW.part, NEW.ref, NEW.version, NULL, CAST(${APPENDED} AS TEXT) WHERE NEW.ref IS NOT NULL;
  END`,
  `${onOp('delete')} DELETE FROM holdfast_keys WHERE part = NEW.part AND key = NEW.key; END`,
  `${onOp('deleteRange')}
    DELETE FROM holdfast_keys WHERE part = NEW.part AND key >= NEW.key AND key < NEW.value;
  END`,
  `${onOp('deletePart')} DELETE FROM holdfast_keys WHERE part = NEW.part; END`,
  `${onOp('trim')}
    INSERT INTO holdfast_puts
      SELECT NEW.part, ${TRIMMED}, NEW.version, NULL, CAST(through AS TEXT)
      FROM (SELECT min(NEW.value, ${LAST}) AS through)
      WHERE through > coalesce((
        SELECT CAST(value AS INTEGER) FROM holdfast_keys WHERE part = NEW.part AND key = ${TRIMMED}), 0);
    DELETE FROM holdfast_keys WHERE part = NEW.part AND key > ${TRIMMED} AND key <= NEW.key || (
      SELECT ${digits('CAST(value AS INTEGER)')} FROM holdfast_keys WHERE part = NEW.part AND key = ${TRIMMED});
  END`,
  // The record of a request, as in `core/request-records.ts`.
  `CREATE TRIGGER holdfast_end INSTEAD OF INSERT ON holdfast_ends BEGIN
    INSERT INTO holdfast_answers (request, n, item, said)
      SELECT NEW.request, -1, -1, json_object('digest', NEW.digest, 'verdicts', (
        WITH RECURSIVE commits (n) AS (
          SELECT 0 WHERE NEW.commits > 0 UNION ALL SELECT n + 1 FROM commits WHERE n + 1 < NEW.commits
        )
        SELECT json_group_array(json(coalesce((
            SELECT json_object('failed', json_group_array(item)) FROM (
              SELECT item FROM holdfast_answers AS a WHERE a.request = NEW.request AND a.n = commits.n AND a.item >= 0
              ORDER BY item) HAVING count(*) > 0),
          (SELECT said FROM holdfast_answers AS a WHERE a.request = NEW.request AND a.n = commits.n AND a.item = -1), '[]')))
        FROM commits))
      WHERE (SELECT said FROM holdfast_answers WHERE request = NEW.request AND n = -1 AND item = -3) = 'new';
    INSERT INTO holdfast_requests (id, record, expires_at)
      SELECT NEW.request, record.said, begun.last + NEW.replay_window
      FROM holdfast_answers AS begun JOIN holdfast_answers AS record
        ON record.request = begun.request AND record.n = -1 AND record.item = -1
      WHERE begun.request = NEW.request AND begun.n = -1 AND begun.item = -3 AND begun.said = 'new';
    DELETE FROM holdfast_staged WHERE request = NEW.request;
  END`,
]

/** Returns a row if the additions exist. A file of another SQLite driver lacks them. */
export const FIND_ADDED: string = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'holdfast_answers'`

/** The statements that migrate the schema from a version to this one, without the additions of these drivers. */
export const upgradeFrom = (version: number): string[] => [
  ...MIGRATIONS.slice(version).flat(),
  ...TRIGGERS,
  `UPDATE holdfast_schema SET version = ${SCHEMA_VERSION}`,
]

/**
 * (request, digest, deadline, window, room, size of the writes): removes expired rows, and decides whether the request
 * is executed.
 */
export const BEGIN: string = `INSERT INTO holdfast_begins SELECT ?1, ?2, ?3, ?4, ?5, ?6, ${NOW}`

/** (request, n, value) */
export const STAGE: string = 'INSERT INTO holdfast_staged (request, n, value) VALUES (?1, ?2, ?3)'

/** (request, JSON of commits, index of the first) */
export const COMMITS: string = `INSERT INTO holdfast_commits
  SELECT ?1, CAST(?3 AS INTEGER) + c.key, c.value, begun.last,
    CASE begun.said WHEN 'repeat' THEN record.said -> ('$.verdicts[' || (CAST(?3 AS INTEGER) + c.key) || ']') END
  FROM json_each(?2) AS c JOIN holdfast_answers AS begun
    ON begun.request = ?1 AND begun.n = -1 AND begun.item = -3 AND begun.said IN ('new', 'repeat')
  LEFT JOIN holdfast_answers AS record ON record.request = ?1 AND record.n = -1 AND record.item = -1 ORDER BY c.key`

/** (request, digest, number of commits, window): stores the record of a request that was executed. */
export const END: string = 'INSERT INTO holdfast_ends VALUES (?1, ?2, ?3, ?4)'

/** (request): the result. */
export const ANSWERS: string = `SELECT n, item, said, last, key, version, expires_at, ${columnsOf('value')}
  FROM holdfast_answers WHERE request = ?1`

/** (request): deletes everything except the record. */
export const CLEAR: string = 'DELETE FROM holdfast_answers WHERE request = ?1'

const step = (column: 'min' | 'max', where: string): string => `(SELECT ${column}(e.key) FROM holdfast_keys AS e
  WHERE e.part = asked.part AND ${where} AND ${liveAt('asked.now')})`

/** Flags of a question. */
export const REVERSE = 1
export const KEYS_ONLY = 2
export const GET = 4
/** Answered before, so it takes no room. */
export const KNOWN = 8

/**
 * Whether the current row of the walk is part of the answer. A get, and the first entry of a page, must be answered.
 * Later entries of a page must fit.
 */
const FITS = `(walk.key IS NOT NULL AND walk.n <> walk.most AND CASE
    WHEN walk.flags & ${KNOWN} THEN 1
    WHEN walk.n = 1 THEN walk.size <= walk.piece OR walk.piece = ?3
    ELSE walk.size <= min(walk.piece, walk.room) END)`
/** Whether the walk continues with the next question. */
const IS_DONE = `(walk.flags & ${GET} OR NOT ${FITS})`
const IS_WANTED = `walk.flags & ${KEYS_ONLY} = 0 AND ${FITS}`
const IS_CUT = `(walk.n = 1 AND walk.key IS NOT NULL AND NOT ${FITS})`

/**
 * (JSON of [part, start, end, limit, flags] per question, room, piece): any number of pages in one statement. The walk
 * goes from key to key by seeks. A get is a page of one.
 *
 * Entries of pages take from the room; everything that is read takes from the piece. If the first entry of a question
 * does not fit into a piece that already holds something, the walk ends (`cut`), and this question and later ones are
 * not answered. One row more than fits (`fits` = 0) shows that a page has more. The first row has only the time.
 */
export const READ: string = `WITH RECURSIVE
  clock (now) AS MATERIALIZED (SELECT ${NOW}),
  asked (i, now, part, start, stop, most, flags) AS MATERIALIZED (
    SELECT q.key, clock.now, q.value ->> 0, q.value ->> 1, q.value ->> 2, q.value ->> 3, q.value ->> 4
    FROM clock, json_each(?1) AS q
  ),
  walk (i, n, part, key, size, flags, most, room, piece) AS (
    SELECT -1, 0, NULL, NULL, 0, 0, 0, ?2, ?3
    UNION ALL
    SELECT asked.i, CASE WHEN ${IS_DONE} THEN 1 ELSE walk.n + 1 END, asked.part, e.key,
      CASE WHEN asked.flags & ${KEYS_ONLY} THEN ${SIZE_OF_KEY} ELSE ${SIZE} END, asked.flags, asked.most,
      CASE WHEN walk.flags & ${GET + KNOWN} = 0 AND ${FITS} THEN max(0, walk.room - walk.size) ELSE walk.room END,
      CASE WHEN walk.flags & ${KNOWN} = 0 AND ${FITS} THEN max(0, walk.piece - walk.size) ELSE walk.piece END
    FROM walk JOIN asked ON asked.i = walk.i + ${IS_DONE}
      LEFT JOIN holdfast_keys AS e ON e.part = asked.part AND e.key = CASE WHEN asked.flags & ${REVERSE}
        THEN ${step('max', `e.key >= asked.start AND e.key < CASE WHEN ${IS_DONE} THEN asked.stop ELSE walk.key END`)}
        ELSE ${step('min', `e.key >= CASE WHEN ${IS_DONE} THEN asked.start ELSE walk.key || ' ' END AND e.key < asked.stop`)}
        END
    WHERE NOT ${IS_CUT}
  )
  SELECT clock.now, walk.i, ${FITS} AS fits, ${IS_CUT} AS cut, e.key, e.version, e.expires_at,
    ${columnsOf(`CASE WHEN ${IS_WANTED} THEN coalesce(long.value, e.value) END`)}
  FROM walk CROSS JOIN clock LEFT JOIN holdfast_keys AS e ON e.part = walk.part AND e.key = walk.key
    LEFT JOIN holdfast_long_values AS long ON long.id = e.long_id AND ${IS_WANTED}
  WHERE walk.key IS NOT NULL OR walk.i = -1`

/** (start, end, limit, room): the names of parts, one seek each. The last one may not fit. */
export const PARTS: string = `WITH RECURSIVE names (name, room) AS (
    SELECT min(part), ?4 FROM holdfast_keys WHERE part >= ?1 AND part < ?2
    UNION ALL
    SELECT (SELECT min(part) FROM holdfast_keys WHERE part > names.name AND part < ?2),
      names.room - ${entryBytes({ key: '', version: '', expiresAt: null })} - length(names.name)
    FROM names WHERE names.name IS NOT NULL AND names.room >= 0
  ) SELECT name, room FROM names WHERE name IS NOT NULL LIMIT ?3`
