/**
 * The two calls of the contract as PL/pgSQL functions: a request is one statement.
 *
 * A function and not one statement with common table expressions, because the view of a statement is older than the
 * locks it takes; inside a volatile function every statement sees what was committed before the locks were had.
 *
 * Both answer rows of `n, key, version, expires_at, kind, value`; the last row tells the clock in `expires_at`. A value
 * is text (`t`), bytes (`b`) or text that would grow by escaping (`u`), the latter two as base64; `x` is one that was
 * left out, because the answer grew too large.
 *
 * An index takes rows of 2704 bytes. So a long part stands in `holdfast_long_parts`, and its entries under the number
 * it has there, behind a character that sorts above all parts.
 *
 * @module
 */
import { MAX_TIME } from '../../core/arguments.ts'
import { DIGITS } from '../../core/keys.ts'

/** What both functions are pinned to: plans that stay good however much the tables have grown since they were made. */
const SETTINGS = `SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off`

const ROWS = `TABLE (r_n int, r_key text, r_version text, r_expires_at bigint, r_kind text, r_value text)`

/** Parts of more characters than this are long; a key of 1600 still fits beside one that is not. */
const LONGEST_PART = 1000
/** What entries of a long part have as their part, followed by its number. */
export const LONG = 'chr(127)'

/** What the entries of a part are found under; nothing is found under {@link LONG} itself. */
const placeOf = (part: string): string => `CASE WHEN length(${part}) <= ${LONGEST_PART} THEN ${part}
  ELSE ${LONG} || coalesce((SELECT l.id::text FROM holdfast_long_parts AS l WHERE l.name = ${part}), '') END`

const NOW = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

/** How a value travels: PGlite takes a byte order mark off text, and escaping may make more of it than base64. */
const KIND = `CASE WHEN e.bytes IS NOT NULL THEN 'b'
  WHEN left(e.text, 1) = chr(65279) OR octet_length(to_json(e.text)::text) * 3 > octet_length(e.text) * 4 + 64 THEN 'u' ELSE 't' END`
const VALUE = (kind: string): string => `CASE ${kind} WHEN 't' THEN e.text
  ELSE translate(encode(CASE ${kind} WHEN 'b' THEN e.bytes ELSE convert_to(e.text, 'UTF8') END, 'base64'), E'\\n', '') END`

const LIVE = `(e.expires_at IS NULL OR e.expires_at > moment)`

/** The question at `item`, one order of keys. */
const page = (order: 'ASC' | 'DESC'): string => `(SELECT e.key, e.version, e.expires_at,
    CASE WHEN keys_only THEN 't' ELSE ${KIND} END AS kind, CASE WHEN NOT keys_only THEN e.text END AS text,
    CASE WHEN NOT keys_only THEN e.bytes END AS bytes
  FROM holdfast_entries AS e
  WHERE ${order === 'DESC' ? 'backwards' : 'NOT backwards'}
    AND e.part = place AND e.key >= item->>2 AND e.key < item->>3 AND ${LIVE}
  ORDER BY e.key ${order} LIMIT most + 1)`

/** The next long part that holds an entry. */
const nextLong = (from: '>' | '>=', name: string): string => `(SELECT l.name FROM holdfast_long_parts AS l
        WHERE l.name ${from} ${name} AND l.name < item->>2
          AND EXISTS (SELECT FROM holdfast_entries AS e WHERE e.part = ${LONG} || l.id) ORDER BY l.name LIMIT 1)`

/**
 * `holdfast_read({questions, budget})`: a question is `["g", part, key, keysOnly]`,
 * `["r", part, start, end, limit, backwards, keysOnly]` or `["p", start, end, limit]`. Rows carry the number of their
 * question; one without a key tells that there is more. Once the budget of bytes is used up, the rest of the questions
 * is not answered: the last row tells in `n` how many were.
 */
export const READ: string = `CREATE FUNCTION holdfast_read(request jsonb) RETURNS ${ROWS}
LANGUAGE plpgsql STABLE ${SETTINGS} AS $read$
#variable_conflict use_column
DECLARE
  moment bigint := ${NOW};
  budget bigint := (request->>'budget')::bigint;
  item jsonb;
  number int := 0;
  most int;
  found_rows int;
  backwards boolean;
  keys_only boolean;
  place text;
  long text;
  e record;
BEGIN
  FOR item IN SELECT q.value FROM jsonb_array_elements(request->'questions') AS q LOOP
    EXIT WHEN budget <= 0;
    place := ${placeOf('(item->>1)')};
    IF item->>0 = 'g' THEN
      keys_only := (item->>3)::boolean;
      SELECT e.key, e.version, e.expires_at, e.text, e.bytes INTO e FROM holdfast_entries AS e
        WHERE e.part = place AND e.key = item->>2 AND ${LIVE};
      IF FOUND THEN
        r_n := number; r_key := e.key; r_version := e.version; r_expires_at := e.expires_at;
        r_kind := CASE WHEN keys_only THEN 't' ELSE ${KIND} END;
        r_value := CASE WHEN keys_only THEN '' ELSE ${VALUE('r_kind')} END;
        budget := budget - octet_length(r_value) - octet_length(r_key) - 100;
        RETURN NEXT;
      END IF;
    ELSIF item->>0 = 'r' THEN
      most := (item->>4)::int; backwards := (item->>5)::boolean; keys_only := (item->>6)::boolean;
      found_rows := 0;
      FOR e IN ${page('ASC')} UNION ALL ${page('DESC')} LOOP
        r_n := number;
        IF found_rows = most OR (budget <= 0 AND found_rows > 0) THEN
          r_key := NULL; r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL;
          RETURN NEXT;
          EXIT;
        END IF;
        r_key := e.key; r_version := e.version; r_expires_at := e.expires_at; r_kind := e.kind;
        r_value := CASE WHEN keys_only THEN '' ELSE ${VALUE('r_kind')} END;
        budget := budget - octet_length(r_value) - octet_length(r_key) - 100;
        found_rows := found_rows + 1;
        RETURN NEXT;
      END LOOP;
    ELSE
      most := (item->>3)::int;
      r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL; r_n := number;
      -- One index seek per part, however many entries it holds.
      place := (SELECT min(p.part) FROM holdfast_entries AS p WHERE p.part >= item->>1 AND p.part < item->>2);
      long := ${nextLong('>=', 'item->>1')};
      found_rows := 0;
      WHILE coalesce(place, long) IS NOT NULL LOOP
        r_key := CASE WHEN found_rows < most AND (budget > 0 OR found_rows = 0) THEN least(place, long) END;
        RETURN NEXT;
        EXIT WHEN r_key IS NULL;
        budget := budget - octet_length(r_key) - 50;
        found_rows := found_rows + 1;
        IF place = r_key THEN
          place := (SELECT min(p.part) FROM holdfast_entries AS p WHERE p.part > r_key AND p.part < item->>2);
        ELSE
          long := ${nextLong('>', 'r_key')};
        END IF;
      END LOOP;
    END IF;
    number := number + 1;
  END LOOP;
  r_n := number; r_key := NULL; r_version := NULL; r_expires_at := moment; r_kind := NULL; r_value := NULL;
  RETURN NEXT;
END $read$`

/** Where the log under a prefix ends. */
const END_OF_LOG = `coalesce((SELECT right(e.key, ${DIGITS})::bigint FROM holdfast_entries AS e
  WHERE e.part = place AND e.key >= name AND e.key < left(name, -1) || '"' ORDER BY e.part DESC, e.key DESC LIMIT 1), 0)`

const UPSERT = `ON CONFLICT (part, key) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
  text = excluded.text, bytes = excluded.bytes`

/**
 * `holdfast_commit({id, window, strict, sweep, budget, parts, shared, exclusive, commits})`. All locks are had before
 * anything is looked at, in one order, each in one mode, so there is no deadlock; they end with the transaction. A
 * commit is `[id, checks, ops]`; a check `[part, key, version | null]` or, with a number, `[part, log, last]`; parts are
 * indexes into `parts`. Answers a row per failed check, in order, of what is there instead (of a log, its end in `n`);
 * the last row tells the verdicts in `value`, and in `n` how many expired rows were swept.
 */
export const COMMIT: string = `CREATE FUNCTION holdfast_commit(request jsonb) RETURNS ${ROWS}
LANGUAGE plpgsql VOLATILE ${SETTINGS} AS $commit$
#variable_conflict use_column
DECLARE
  moment bigint;
  budget bigint := (request->>'budget')::bigint;
  parts text[];
  kept jsonb;
  verdicts text[] := '{}';
  c jsonb;
  items jsonb;
  item jsonb;
  failed int[];
  seqs bigint[];
  place text;
  name text;
  seq bigint;
  has_written boolean := false;
  swept int := 0;
  gone int := 0;
  e record;
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'holdfast needs the isolation level read committed' USING ERRCODE = '0A000';
  END IF;
  PERFORM CASE WHEN l.is_exclusive THEN pg_advisory_xact_lock(l.hash) IS NULL
      ELSE pg_advisory_xact_lock_shared(l.hash) IS NULL END
    FROM (SELECT h.hash, bool_or(h.is_exclusive) AS is_exclusive FROM (
        SELECT hashtextextended(s.value, 7355608) AS hash, false AS is_exclusive
          FROM jsonb_array_elements_text(request->'shared') AS s
        UNION ALL SELECT hashtextextended(x.value, 7355608), true
          FROM jsonb_array_elements_text(request->'exclusive') AS x
      ) AS h GROUP BY h.hash ORDER BY h.hash) AS l;
  INSERT INTO holdfast_long_parts (name) SELECT p.value FROM jsonb_array_elements_text(request->'parts') AS p
    WHERE length(p.value) > ${LONGEST_PART} ORDER BY p.value ON CONFLICT DO NOTHING;
  parts := ARRAY(SELECT ${placeOf('p.value')} FROM jsonb_array_elements_text(request->'parts') AS p);
  -- now() would be the time before the wait.
  moment := ${NOW};
  IF NOT (request->>'strict')::boolean THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  SELECT q.record::jsonb INTO kept FROM holdfast_requests AS q
    WHERE q.id = request->>'id' AND q.expires_at > moment;

  FOR c IN SELECT m.value FROM jsonb_array_elements(request->'commits') AS m LOOP
    failed := '{}';
    items := c->1;
    FOR number IN 0..jsonb_array_length(items) - 1 LOOP
      item := items->number;
      place := parts[(item->>0)::int + 1];
      name := item->>1;
      r_key := NULL; r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL; r_n := NULL;
      IF jsonb_typeof(item->2) = 'number' THEN
        seq := ${END_OF_LOG};
        CONTINUE WHEN CASE WHEN kept IS NULL THEN seq = (item->>2)::bigint
          ELSE NOT coalesce(kept->cardinality(verdicts)->'failed' @> to_jsonb(number), false) END;
        r_value := seq;
      ELSE
        SELECT e.key, e.version, e.expires_at, e.text, e.bytes INTO e FROM holdfast_entries AS e
          WHERE e.part = place AND e.key = name AND ${LIVE};
        CONTINUE WHEN CASE WHEN kept IS NULL THEN e.version IS NOT DISTINCT FROM item->>2
          ELSE NOT coalesce(kept->cardinality(verdicts)->'failed' @> to_jsonb(number), false) END;
        IF e.key IS NOT NULL THEN
          r_key := e.key; r_version := e.version; r_expires_at := e.expires_at; r_kind := 'x';
          IF budget > 0 THEN
            r_kind := ${KIND};
            r_value := ${VALUE('r_kind')};
            budget := budget - octet_length(r_value) - octet_length(r_key) - 100;
          END IF;
        END IF;
      END IF;
      failed := failed || number;
      RETURN NEXT;
    END LOOP;
    IF kept IS NOT NULL THEN
      verdicts := verdicts || (kept->cardinality(verdicts))::text;
      CONTINUE;
    ELSIF cardinality(failed) > 0 THEN
      verdicts := verdicts || ('{"failed":[' || array_to_string(failed, ',') || ']}');
      CONTINUE;
    END IF;

    has_written := true;
    seqs := '{}';
    items := c->2;
    FOR i IN 0..jsonb_array_length(items) - 1 LOOP
      item := items->i;
      place := parts[(item->>1)::int + 1];
      name := item->>2;
      CASE item->>0
      WHEN 'r' THEN DELETE FROM holdfast_entries AS d WHERE d.part = place AND d.key >= name AND d.key < item->>3;
      WHEN 'x' THEN DELETE FROM holdfast_entries AS d WHERE d.part = place;
      WHEN 'd' THEN DELETE FROM holdfast_entries AS d WHERE d.part = place AND d.key = name;
      ELSE
        r_expires_at := NULL;
        IF item->>0 = 'a' THEN
          seq := ${END_OF_LOG} + 1;
          seqs := seqs || seq;
          name := name || lpad(seq::text, ${DIGITS}, '0');
          IF item->>5 IS NOT NULL THEN
            INSERT INTO holdfast_entries (part, key, version, text)
              VALUES (place, item->>5, c->>0, seq::text) ${UPSERT};
          END IF;
        ELSE
          r_expires_at := coalesce((item->>6)::bigint, least(moment + (item->>5)::bigint, ${MAX_TIME}));
          IF item->>5 IS NULL AND item->>6 IS NULL THEN r_expires_at := NULL; END IF;
        END IF;
        INSERT INTO holdfast_entries (part, key, version, expires_at, text, bytes) VALUES (
          place, name, c->>0, r_expires_at,
          CASE item->>3 WHEN 't' THEN item->>4 WHEN 'u' THEN convert_from(decode(item->>4, 'base64'), 'UTF8') END,
          CASE item->>3 WHEN 'b' THEN decode(item->>4, 'base64') END
        ) ${UPSERT};
      END CASE;
    END LOOP;
    verdicts := verdicts || ('[' || array_to_string(seqs, ',') || ']');
  END LOOP;

  IF has_written THEN
    INSERT INTO holdfast_requests (id, record, expires_at)
      VALUES (request->>'id', '[' || array_to_string(verdicts, ',') || ']', moment + (request->>'window')::bigint)
      ON CONFLICT (id) DO UPDATE SET record = excluded.record, expires_at = excluded.expires_at;
  END IF;
  IF (request->>'sweep')::int > 0 THEN
    -- Last of all, and of rows that nobody else is at: it waits for nothing that it could be waited for with.
    DELETE FROM holdfast_entries AS d WHERE (d.part, d.key) IN (SELECT e.part, e.key FROM holdfast_entries AS e
      WHERE e.expires_at <= moment ORDER BY e.expires_at LIMIT (request->>'sweep')::int FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS swept = ROW_COUNT;
    DELETE FROM holdfast_requests AS d WHERE d.id IN (SELECT q.id FROM holdfast_requests AS q
      WHERE q.expires_at <= moment ORDER BY q.expires_at LIMIT (request->>'sweep')::int FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
  END IF;
  r_n := greatest(swept, gone); r_key := NULL; r_version := NULL; r_expires_at := moment; r_kind := NULL;
  r_value := '[' || array_to_string(verdicts, ',') || ']';
  RETURN NEXT;
END $commit$`
