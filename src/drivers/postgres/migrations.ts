/**
 * The schema as SQL, version by version: what drizzle cannot express (collations, functions, partitions, views).
 *
 * A version that has been released is never edited. One that changes what rows mean gives the functions new names: what
 * an older process calls then fails instead of writing rows of the old kind.
 *
 * @module
 */
import { COMMIT, LONG, READ } from './functions.ts'

/** Names sort by byte, as keys do. */
const NAME = `text COLLATE "C" NOT NULL`

const tables = (partitions: number): readonly string[] => [
  // The value stands last: large ones are kept out of the row.
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
  // A row means nothing but that it can be locked: it may go in a crash, or at any time when nobody has it.
  'CREATE UNLOGGED TABLE holdfast_locks (id bigint PRIMARY KEY, made_at bigint NOT NULL)',
  'CREATE INDEX holdfast_locks_age ON holdfast_locks (made_at)',
]

/** `decodeId` of core/keys.ts in SQL: text without escapes, nearly all of it, is returned as it is. */
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

/** Text that is no JSON is null, and so are bytes. */
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
/** Exactly `tenant!run!runId`: parts under a prefix of several elements belong to another database. */
const IS_RUN = `${PART} ~ '^[^!]+!run![^!]+$'`

/** Such entries of all runs: hops from part to part, so that the length of logs does not matter. */
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

const VIEWS = [
  `CREATE VIEW holdfast_runs AS SELECT tenant, run_id,
    data ->> 'workflow' AS workflow, data ->> 'definitionVersion' AS definition_version,
    data ->> 'status' AS status, ${number('since')} AS since, ${number('createdAt')} AS created_at, data
  FROM ${ofEachRun(`e.key = 'run'`)}`,
  `CREATE VIEW holdfast_steps AS SELECT tenant, run_id, step_id,
    data ->> 'status' AS status, data -> 'result' AS result, data ->> 'error' AS error,
    ${number('startedAt')} AS started_at, ${number('completedAt')} AS completed_at, data
  FROM ${ofEachRun(`e.key >= 'step!' AND e.key < 'step"'`, `holdfast_decode(substr(e.key, 6)) AS step_id, `)}`,
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

/** Functions find the tables beside them, whoever calls them from wherever. */
const pinned = (...signatures: string[]): string[] =>
  signatures.map(
    (signature) => `EXECUTE format('ALTER FUNCTION ${signature} SET search_path = %I, pg_temp', current_schema())`,
  )

/** What leads from each version to the next; the first from a database without. */
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

/** The version that a database is brought to. */
export const SCHEMA_VERSION: number = migrations(0).length

/** The oldest PostgreSQL whose planner and functions do what the driver needs, as `server_version_num`. */
const OLDEST_SERVER = 130_000

/** Finds the schema: a row with its version, or the error that there is no such table. */
export const FIND = 'SELECT max(version) AS version FROM holdfast_schema'

/**
 * Brings the schema to this version, in one statement that may be run any number of times, by any number of clients at
 * once: they queue on a lock that ends with the statement, and all but the first find the work done.
 *
 * @param partitions - how many partitions the entries are spread over; 0 for a plain table
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
