/**
 * The schema as SQL, version by version. It uses collations, functions, partitions and views, which drizzle cannot
 * express.
 *
 * A released version is never edited. A version that changes the meaning of rows renames the functions: the calls of an
 * older process then fail instead of writing rows of the old kind.
 *
 * @module
 */
import { COMMIT, LONG, READ } from './functions.ts'

/** Sorts names by byte, as keys do. */
const NAME = `text COLLATE "C" NOT NULL`

const tables = (partitions: number): readonly string[] => [
  // The value comes last, so that large ones are stored out of the row.
  `CREATE TABLE holdfast_entries (
    part ${NAME}, key ${NAME}, version ${NAME}, expires_at bigint, text text, bytes bytea,
    PRIMARY KEY (part, key), CHECK ((text IS NULL) <> (bytes IS NULL))
  )${partitions > 0 ? ' PARTITION BY HASH (part)' : ''}`,
  ...Array.from(
    { length: partitions },
    (_, i) =>
      `CREATE TABLE holdfast_entries_${i} PARTITION OF holdfast_entries FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${i})`,
  ),
  'CREATE INDEX holdfast_entries_expiry ON holdfast_entries (expires_at) WHERE expires_at IS NOT NULL',
  `CREATE TABLE holdfast_long_parts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name ${NAME} UNIQUE)`,
  `CREATE TABLE holdfast_requests (
    id ${NAME} PRIMARY KEY, digest text NOT NULL, record text NOT NULL,
    answered_until bigint NOT NULL, expires_at bigint NOT NULL
  )`,
  'CREATE INDEX holdfast_requests_expiry ON holdfast_requests (expires_at)',
  // A row only serves to be locked. It may be lost in a crash, or removed whenever nobody holds it.
  'CREATE UNLOGGED TABLE holdfast_locks (id bigint PRIMARY KEY, made_at bigint NOT NULL)',
  'CREATE INDEX holdfast_locks_age ON holdfast_locks (made_at)',
]

/** `decodeId` of core/keys.ts in SQL. Text without escapes, nearly all of it, is returned at once. */
const DECODE = `CREATE FUNCTION holdfast_decode(id text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $decode$
DECLARE
  result text := '';
  rest text := id;
  size int;
  point int;
BEGIN
  IF id !~ '[#~]' THEN RETURN id; END IF;
  WHILE rest <> '' LOOP
    IF rest ~ '^[#~]' THEN
      size := CASE WHEN rest LIKE '#%' THEN 1 ELSE substr(rest, 2, 1)::int + 1 END;
      point := CASE WHEN rest LIKE '#%' THEN 0 ELSE 126 END;
      DECLARE
        digits text := CASE WHEN rest LIKE '#%' THEN substr(rest, 2, 1) ELSE substr(rest, 3, size - 1) END;
        sum int := 0;
      BEGIN
        FOR i IN 1..length(digits) LOOP
          sum := sum * 36 + strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(digits, i, 1)) - 1;
        END LOOP;
        result := result || CASE WHEN point + sum > 0 THEN chr(point + sum) ELSE '' END;
      END;
      rest := substr(rest, 2 + size);
    ELSE
      size := length(substring(rest FROM '^[^#~]+'));
      result := result || left(rest, size);
      rest := substr(rest, 1 + size);
    END IF;
  END LOOP;
  RETURN result;
END $decode$`

/** Parses JSON; null for bytes and for text that is not JSON. */
const JSON_OR_NULL = `CREATE FUNCTION holdfast_json(document text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $json$
BEGIN
  RETURN document::jsonb;
EXCEPTION WHEN others THEN
  RETURN NULL;
END $json$`

const LIVE = `(e.expires_at IS NULL OR e.expires_at > extract(epoch FROM clock_timestamp()) * 1000)`
const PART = `CASE WHEN e.part < ${LONG} THEN e.part
  ELSE (SELECT l.name FROM holdfast_long_parts AS l WHERE l.id = substr(e.part, 2)::bigint) END`
const TENANT = `holdfast_decode(split_part(${PART}, '!', 1))`
const RUN_ID = `holdfast_decode(split_part(${PART}, '!', 3))`
/** Exactly `tenant!run!runId`. Parts under a prefix of several elements belong to another database. */
const IS_RUN = `${PART} ~ '^[^!]+!run![^!]+$'`

/** Selects entries of every run. It jumps from part to part, so the length of logs does not matter. */
const ofEachRun = (which: string, more = ''): string => `(
    WITH RECURSIVE parts (part) AS (
      (SELECT part FROM holdfast_entries ORDER BY part LIMIT 1)
      UNION ALL
      SELECT (SELECT min(next.part) FROM holdfast_entries AS next WHERE next.part > parts.part)
      FROM parts WHERE parts.part IS NOT NULL
    )
    SELECT ${TENANT} AS tenant, ${RUN_ID} AS run_id, ${more}holdfast_json(e.text) AS data
    FROM parts CROSS JOIN LATERAL (
      SELECT * FROM holdfast_entries AS e WHERE e.part = parts.part AND ${which} AND ${LIVE} OFFSET 0
    ) AS e WHERE ${IS_RUN}
  ) AS found`

const number = (name: string): string => `(data ->> '${name}')::numeric::bigint`

/** The result of a step: its own, or the payload of the event that holds it. */
const RESULT = `coalesce(data -> 'result', (
    SELECT holdfast_json(e.text) -> 'payload' FROM holdfast_entries AS e
    WHERE e.part = found.part AND e.key = 'event!' || lpad(data ->> 'seq', 16, '0') AND ${LIVE}
  ))`

const VIEWS = [
  `CREATE VIEW holdfast_runs AS SELECT tenant, run_id,
    data ->> 'workflow' AS workflow, data ->> 'definitionVersion' AS definition_version,
    data ->> 'status' AS status, ${number('since')} AS since, ${number('createdAt')} AS created_at, data
  FROM ${ofEachRun(`e.key = 'run'`)}`,
  `CREATE VIEW holdfast_steps AS SELECT tenant, run_id, step_id,
    data ->> 'status' AS status, ${RESULT} AS result, data ->> 'error' AS error,
    ${number('startedAt')} AS started_at, ${number('completedAt')} AS completed_at, data
  FROM ${ofEachRun(`e.key >= 'step!' AND e.key < 'step"'`, `e.part, holdfast_decode(substr(e.key, 6)) AS step_id, `)}`,
  `CREATE VIEW holdfast_events AS SELECT tenant, run_id, seq,
    data ->> 'kind' AS kind, data ->> 'stepId' AS step_id, ${number('at')} AS at, data -> 'payload' AS payload, data
  FROM (
    SELECT ${TENANT} AS tenant, ${RUN_ID} AS run_id, substr(e.key, 7)::bigint AS seq, holdfast_json(e.text) AS data
    FROM holdfast_entries AS e WHERE ${IS_RUN} AND e.key >= 'event!' AND e.key < 'event"' AND ${LIVE}
  ) AS found`,
  `CREATE VIEW holdfast_snapshots AS SELECT tenant, run_id,
    ${number('version')} AS version, ${number('throughSeq')} AS through_seq,
    ${number('updatedAt')} AS updated_at, data -> 'state' AS state, data
  FROM ${ofEachRun(`e.key = 'snapshot'`)}`,
  `CREATE VIEW holdfast_values AS
  SELECT ${TENANT} AS tenant, NULL::text AS run_id, holdfast_decode(e.key) AS name, e.text, e.bytes, e.expires_at
  FROM holdfast_entries AS e WHERE ${PART} ~ '^[^!]+!values$' AND ${LIVE}
  UNION ALL
  SELECT ${TENANT}, ${RUN_ID}, holdfast_decode(substr(e.key, 7)), e.text, e.bytes, e.expires_at
  FROM holdfast_entries AS e WHERE ${IS_RUN} AND e.key >= 'value!' AND e.key < 'value"' AND ${LIVE}`,
]

/** Pins functions to the schema of their tables, for all callers. */
const pinned = (...signatures: string[]): string[] =>
  signatures.map(
    (signature) => `EXECUTE format('ALTER FUNCTION ${signature} SET search_path = %I, pg_temp', current_schema())`,
  )

/** The statements that lead from each version to the next; the first list starts from an empty database. */
const migrations = (partitions: number): readonly (readonly string[])[] => [
  [
    'CREATE TABLE holdfast_schema (version integer NOT NULL)',
    'INSERT INTO holdfast_schema VALUES (0)',
    ...tables(partitions),
    READ,
    COMMIT,
    DECODE,
    JSON_OR_NULL,
    ...pinned('holdfast_read(jsonb)', 'holdfast_commit(jsonb, int)'),
    ...VIEWS,
  ],
]

/** The current version of the schema. */
export const SCHEMA_VERSION: number = migrations(0).length

/** The oldest PostgreSQL whose planner and functions support the driver, as `server_version_num`. */
const OLDEST_SERVER = 130_000

/** Finds the schema: returns a row with its version, or fails because there is no such table. */
export const FIND = 'SELECT max(version) AS version FROM holdfast_schema'

/**
 * Makes the statement that brings the schema to the current version. It may be run any number of times, by any number
 * of clients at once: they queue on a lock that ends with the statement, and all but the first find the work done.
 *
 * @param partitions - the number of partitions for the entries; 0 for a plain table
 */
export const migration = (partitions: number): string => `DO $holdfast$
DECLARE
  found_version int := 0;
BEGIN
  IF current_setting('server_version_num')::int < ${OLDEST_SERVER} THEN
    RAISE EXCEPTION 'holdfast needs PostgreSQL ${OLDEST_SERVER / 10_000} or newer' USING ERRCODE = '0A000';
  END IF;
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'holdfast needs a database encoded in UTF8' USING ERRCODE = '0A000';
  END IF;
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'holdfast needs the isolation level read committed' USING ERRCODE = '0A000';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('holdfast schema', 7355608));
  IF to_regclass('holdfast_schema') IS NOT NULL THEN
    SELECT max(s.version) INTO found_version FROM holdfast_schema AS s;
  END IF;
${migrations(partitions)
  .map(
    (statements, from) => `  IF found_version <= ${from} THEN\n${statements.map((s) => `${s};\n`).join('')}  END IF;`,
  )
  .join('\n')}
  UPDATE holdfast_schema SET version = ${SCHEMA_VERSION} WHERE version < ${SCHEMA_VERSION};
END $holdfast$`
