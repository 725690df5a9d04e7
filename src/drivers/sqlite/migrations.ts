/**
 * The schema as SQL, version by version. It uses features that drizzle cannot express: STRICT, WITHOUT ROWID, views on
 * JSON.
 *
 * Never edit a released version. A version that changes the meaning of rows renames the table: statements that an older
 * process has prepared then fail, instead of writing rows of the old kind.
 *
 * @module
 */
import { HoldfastError } from '../../core/errors.ts'
import type { SqliteHandle } from './handle.ts'
import { isLong, valueOf } from './long-values.ts'

const TABLES = [
  `CREATE TABLE holdfast_entries (
    part TEXT NOT NULL,
    key TEXT NOT NULL,
    version TEXT NOT NULL,
    expires_at INTEGER,
    value ANY NOT NULL,
    PRIMARY KEY (part, key)
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX holdfast_entries_expiry ON holdfast_entries (expires_at) WHERE expires_at IS NOT NULL',
  `CREATE TABLE holdfast_requests (
    id TEXT NOT NULL PRIMARY KEY,
    record TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX holdfast_requests_expiry ON holdfast_requests (expires_at)',
]

/** The value of a character as a base-36 digit. */
const digit = (at: number): string => `(instr('0123456789abcdefghijklmnopqrstuvwxyz', substr(rest, ${at}, 1)) - 1)`

/** `decodeId` of core/keys.ts in SQL. Text without escapes, which is nearly all, is returned as it is. */
const decoded = (id: string): string => `CASE WHEN ${id} NOT GLOB '*[#~]*' THEN ${id} ELSE (
    WITH RECURSIVE decoding (text, rest) AS (
      SELECT '', ${id}
      UNION ALL
      SELECT text || CASE substr(rest, 1, 1)
          WHEN '#' THEN char(${digit(2)})
          WHEN '~' THEN char(126 + CASE ${digit(2)}
            WHEN 1 THEN ${digit(3)}
            WHEN 2 THEN ${digit(3)} * 36 + ${digit(4)}
            WHEN 3 THEN (${digit(3)} * 36 + ${digit(4)}) * 36 + ${digit(5)}
            ELSE ((${digit(3)} * 36 + ${digit(4)}) * 36 + ${digit(5)}) * 36 + ${digit(6)} END)
          ELSE substr(rest, 1, 1) END,
        substr(rest, CASE substr(rest, 1, 1) WHEN '#' THEN 3 WHEN '~' THEN 3 + ${digit(2)} ELSE 2 END)
      FROM decoding WHERE rest <> ''
    ) SELECT text FROM decoding WHERE rest = ''
  ) END`

const LIVE = `(e.expires_at IS NULL OR e.expires_at > unixepoch('subsec') * 1000)`
const TENANT = decoded(`substr(e.part, 1, instr(e.part, '!') - 1)`)
const RUN_ID = decoded(`substr(e.part, instr(e.part, '!') + 5)`)
/** Exactly `tenant!run!runId`. Parts under a prefix of several elements belong to another database. */
const IS_RUN = `substr(e.part, instr(e.part, '!') + 1, 4) = 'run!' AND instr(substr(e.part, instr(e.part, '!') + 5), '!') = 0`
const JSON_OR_NULL = `CASE WHEN typeof(e.value) = 'text' AND json_valid(e.value) THEN e.value END`

/** Such entries of all runs. It seeks from part to part, so the length of logs does not matter. */
const ofEachRun = (which: string, more = ''): string => `(
    WITH RECURSIVE parts (part) AS (
      SELECT min(part) FROM holdfast_entries
      UNION ALL
      SELECT (SELECT min(next.part) FROM holdfast_entries AS next WHERE next.part > parts.part)
      FROM parts WHERE parts.part IS NOT NULL
    )
    SELECT ${TENANT} AS tenant, ${RUN_ID} AS run_id, ${more}${JSON_OR_NULL} AS data
    FROM parts CROSS JOIN holdfast_entries AS e ON e.part = parts.part AND ${which}
    WHERE ${IS_RUN} AND ${LIVE}
  )`

/** The result of a step: its own, or the payload of the event that holds it. */
const RESULT = `coalesce(data -> '$.result', (
    SELECT ${JSON_OR_NULL} -> '$.payload' FROM holdfast_entries AS e
    WHERE e.part = found.part AND e.key = 'event!' || printf('%016d', data ->> '$.seq') AND ${LIVE}
  ))`

const VIEWS = [
  `CREATE VIEW holdfast_runs AS SELECT tenant, run_id,
    data ->> '$.workflow' AS workflow, data ->> '$.definitionVersion' AS definition_version,
    data ->> '$.status' AS status, data ->> '$.since' AS since, data ->> '$.createdAt' AS created_at, data
  FROM ${ofEachRun(`e.key = 'run'`)}`,
  `CREATE VIEW holdfast_steps AS SELECT tenant, run_id, step_id,
    data ->> '$.status' AS status, ${RESULT} AS result, data ->> '$.error' AS error,
    data ->> '$.startedAt' AS started_at, data ->> '$.completedAt' AS completed_at, data
  FROM ${ofEachRun(`e.key >= 'step!' AND e.key < 'step"'`, `e.part, ${decoded('substr(e.key, 6)')} AS step_id, `)} AS found`,
  `CREATE VIEW holdfast_events AS SELECT tenant, run_id, seq,
    data ->> '$.kind' AS kind, data ->> '$.stepId' AS step_id, data ->> '$.at' AS at, data -> '$.payload' AS payload, data
  FROM (
    SELECT ${TENANT} AS tenant, ${RUN_ID} AS run_id, CAST(substr(e.key, 7) AS INTEGER) AS seq, ${JSON_OR_NULL} AS data
    FROM holdfast_entries AS e WHERE ${IS_RUN} AND e.key >= 'event!' AND e.key < 'event"' AND ${LIVE}
  )`,
  `CREATE VIEW holdfast_snapshots AS SELECT tenant, run_id,
    data ->> '$.version' AS version, data ->> '$.throughSeq' AS through_seq,
    data ->> '$.updatedAt' AS updated_at, data -> '$.state' AS state, data
  FROM ${ofEachRun(`e.key = 'snapshot'`)}`,
  `CREATE VIEW holdfast_values AS
  SELECT ${TENANT} AS tenant, NULL AS run_id, ${decoded('e.key')} AS name, e.value, e.expires_at
  FROM holdfast_entries AS e WHERE substr(e.part, instr(e.part, '!') + 1) = 'values' AND ${LIVE}
  UNION ALL
  SELECT ${TENANT}, ${RUN_ID}, ${decoded('substr(e.key, 7)')}, e.value, e.expires_at
  FROM holdfast_entries AS e WHERE ${IS_RUN} AND e.key >= 'value!' AND e.key < 'value"' AND ${LIVE}`,
]

/** The names of {@link VIEWS}. */
const NAMES = ['runs', 'steps', 'events', 'snapshots', 'values']

/** The views of D1 and libSQL, with their triggers and tables, see `d1-sql.ts`. Those drivers create them again. */
const ADDED = ['VIEW begins', 'VIEW commits', 'VIEW failed', 'VIEW ops', 'VIEW ends', 'TABLE staged', 'TABLE answers']

/**
 * Moves long values out of the rows of their keys, see `long-values.ts`. Readers of `holdfast_entries` see no
 * difference.
 */
const LONG_VALUES = [
  ...[...NAMES.map((name) => `VIEW ${name}`), ...ADDED].map((it) => `DROP ${it.replace(' ', ' IF EXISTS holdfast_')}`),
  'ALTER TABLE holdfast_entries RENAME TO holdfast_keys',
  'ALTER TABLE holdfast_keys ADD COLUMN long_id INTEGER',
  'ALTER TABLE holdfast_keys ADD COLUMN long_bytes INTEGER',
  'CREATE TABLE holdfast_long_values (id INTEGER PRIMARY KEY, value ANY NOT NULL) STRICT',
  `CREATE TRIGGER holdfast_forget AFTER DELETE ON holdfast_keys WHEN OLD.long_id IS NOT NULL BEGIN
    DELETE FROM holdfast_long_values WHERE id = OLD.long_id;
  END`,
  `CREATE VIEW holdfast_entries AS SELECT part, key, version, expires_at,
    ${valueOf('holdfast_keys')} AS value FROM holdfast_keys`,
  ...VIEWS,
  // One after the other, because each gets its id in between.
  `CREATE VIEW holdfast_moves AS SELECT '' AS part, '' AS key`,
  `CREATE TRIGGER holdfast_move INSTEAD OF INSERT ON holdfast_moves BEGIN
    INSERT INTO holdfast_long_values (value) SELECT value FROM holdfast_keys WHERE part = NEW.part AND key = NEW.key;
    UPDATE holdfast_keys SET long_id = last_insert_rowid(), long_bytes = octet_length(value), value = ''
      WHERE part = NEW.part AND key = NEW.key;
  END`,
  `INSERT INTO holdfast_moves SELECT part, key FROM holdfast_keys WHERE ${isLong('part', 'key', 'value')}`,
  'DROP VIEW holdfast_moves',
]

/** The migrations from each version to the next. The first one starts from an empty database. */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    'CREATE TABLE holdfast_schema (version INTEGER NOT NULL) STRICT',
    'INSERT INTO holdfast_schema VALUES (0)',
    ...TABLES,
    ...VIEWS,
  ],
  LONG_VALUES,
]

/** The current schema version. */
export const SCHEMA_VERSION: number = MIGRATIONS.length

/**
 * Migrates the schema to the current version, in one transaction. If it is current already, only reads.
 *
 * @throws `SCHEMA` if a newer release wrote the database; errors of the handle
 */
export function migrate(handle: SqliteHandle): void {
  // Checked outside the transaction first, so that a read-only database can be read.
  if (versionOf(handle) === SCHEMA_VERSION) return
  handle.exec('BEGIN IMMEDIATE')
  try {
    upgrade(handle)
    handle.exec('COMMIT')
  } catch (cause) {
    try {
      handle.exec('ROLLBACK')
    } catch {
      // Rolled back already, as after a full disk.
    }
    throw cause
  }
}

/**
 * The same inside a transaction that the caller has begun.
 *
 * @throws `SCHEMA` if a newer release wrote the database; errors of the handle
 */
export function upgrade(handle: Pick<SqliteHandle, 'prepare' | 'exec'>): void {
  const from = versionOf(handle)
  if (from === SCHEMA_VERSION) return
  for (const statement of MIGRATIONS.slice(from).flat()) handle.exec(statement)
  handle.exec(`UPDATE holdfast_schema SET version = ${SCHEMA_VERSION}`)
}

/**
 * Reads the schema version of a database; 0 if it has no schema.
 *
 * @throws `SCHEMA` if a newer release wrote the database
 */
export function versionOf(handle: Pick<SqliteHandle, 'prepare'>): number {
  if (handle.prepare(FIND_SCHEMA).get() === undefined) return 0
  return knownVersion(Number(handle.prepare(FIND_VERSION).get()?.[0]))
}

/** Returns a row if there is a schema. */
export const FIND_SCHEMA: string = `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'holdfast_schema'`
/** Reads the schema version. */
export const FIND_VERSION: string = 'SELECT max(version) AS version FROM holdfast_schema'

/**
 * Returns the version if this release knows it.
 *
 * @throws `SCHEMA` if it is newer
 */
export function knownVersion(version: number): number {
  if (version <= SCHEMA_VERSION) return version
  throw new HoldfastError(
    'SCHEMA',
    `The database has schema version ${version}, but this release knows only ${SCHEMA_VERSION}; use a newer release of holdfast`,
    { details: { found: version, known: SCHEMA_VERSION } },
  )
}
