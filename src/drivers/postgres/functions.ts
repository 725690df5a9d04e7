/**
 * The two calls of the contract as PL/pgSQL functions, so that a request is one statement.
 *
 * A single statement with common table expressions would not do: its view is older than the locks it takes. Inside a
 * volatile function, every statement sees everything that was committed before the locks were taken.
 *
 * Both functions return rows of `n, key, version, expires_at, kind, value`. The last row has the clock in `expires_at`.
 * A value is text (`t`), bytes (`b`) or text that escaping would enlarge (`u`); the latter two are base64. `x` marks a
 * value that was left out because the answer had no room for it. Values are read one by one, and only those that fit.
 *
 * An index row holds at most 2704 bytes. So the name of a long part is stored in `holdfast_long_parts`, and its entries
 * under the number it has there, after a character that sorts above all parts.
 *
 * @module
 */
import { MAX_TIME } from '../../core/arguments.ts'
import { DIGITS, LAST_NUMBER, encodeNumber } from '../../core/keys.ts'

/** SQLSTATE if the last key of a log is not a number. The message is the prefix. */
export const NOT_A_LOG = 'HF001'
/** SQLSTATE if the answer would be too large even without values. */
export const ANSWER_TOO_LARGE = 'HF002'

/** Settings of both functions: their plans stay good however much the tables grow. */
const SETTINGS = `SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off`

const ROWS = `TABLE (r_n int, r_key text, r_version text, r_expires_at bigint, r_kind text, r_value text)`

/** Parts with more characters are long. A key of 1600 characters still fits next to a part of this length. */
const LONGEST_PART = 1000
/** The start of the stored part of a long part's entries; the number follows. */
export const LONG = 'chr(127)'

/** The stored part of a part. No entry is stored under {@link LONG} itself. */
const placeOf = (part: string): string => `CASE WHEN length(${part}) <= ${LONGEST_PART} THEN ${part}
  ELSE ${LONG} || coalesce((SELECT l.id::text FROM holdfast_long_parts AS l WHERE l.name = ${part}), '') END`

const NOW = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

/** How a value is sent. PGlite removes a byte order mark from text, and escaping may make text larger than base64. */
const KIND = `CASE WHEN e.bytes IS NOT NULL THEN 'b'
  WHEN left(e.text, 1) = chr(65279) OR octet_length(to_json(e.text)::text) * 3 > octet_length(e.text) * 4 + 64 THEN 'u' ELSE 't' END`
const VALUE = (kind: string): string => `CASE ${kind} WHEN 't' THEN e.text
  ELSE translate(encode(CASE ${kind} WHEN 'b' THEN e.bytes ELSE convert_to(e.text, 'UTF8') END, 'base64'), E'\\n', '') END`

/** The size of the value at `e`, in bytes, known without reading it. */
const SIZE = 'coalesce(octet_length(e.text), octet_length(e.bytes), 0)'
/**
 * The bytes that an entry takes of the answer's limit (see `entryBytes` of the core), with `size` bytes of its value.
 */
const charge = (size: string): string => `64 + length(e.key) + length(e.version) + ${size}`
/** The most bytes that its row takes as JSON. */
const row = (key: string, version: string, size?: string): string =>
  `90 + length(${key}) + length(${version})${size === undefined ? '' : ` + 24 + ${size}::bigint * 4 / 3`}`

const LIVE = `(e.expires_at IS NULL OR e.expires_at > moment)`

/** The entries for the question at `item`, in one order of keys. */
const page = (order: 'ASC' | 'DESC'): string => `(SELECT e.key, e.version, e.expires_at,
    CASE WHEN NOT keys_only THEN e.text END AS text, CASE WHEN NOT keys_only THEN e.bytes END AS bytes
  FROM holdfast_entries AS e
  WHERE ${order === 'DESC' ? 'backwards' : 'NOT backwards'}
    AND e.part = place AND e.key >= item->>3 AND e.key < item->>4 AND ${LIVE}
  ORDER BY e.key ${order} LIMIT most + 1)`

/** The next long part that holds an entry. */
const nextLong = (from: '>' | '>=', name: string): string => `(SELECT l.name FROM holdfast_long_parts AS l
        WHERE l.name ${from} ${name} AND l.name < item->>3
          AND EXISTS (SELECT FROM holdfast_entries AS e WHERE e.part = ${LONG} || l.id) ORDER BY l.name LIMIT 1)`

/**
 * `holdfast_read({questions, room, most})`. A question is `["g", known, part, key]`, `["r", known, part, start, end,
 * limit, backwards, keysOnly]` or `["p", known, start, end, limit]`. Rows carry the number of their question; a row
 * without a key means that there is more. Pages are cut to the room they share, except known ones. If the answer grows
 * beyond `most` bytes, the remaining questions are not answered: `n` of the last row is the number of those that were.
 */
export const READ: string = `CREATE FUNCTION holdfast_read(request jsonb) RETURNS ${ROWS}
LANGUAGE plpgsql STABLE ${SETTINGS} AS $read$
#variable_conflict use_column
DECLARE
  moment bigint := ${NOW};
  room bigint := (request->>'room')::bigint;
  most_bytes bigint := (request->>'most')::bigint;
  used bigint := 0;
  cost bigint;
  item jsonb;
  number int := 0;
  most int;
  found_rows int;
  is_known boolean;
  backwards boolean;
  keys_only boolean;
  place text;
  long text;
  e record;
BEGIN
  <<questions>>
  FOR item IN SELECT q.value FROM jsonb_array_elements(request->'questions') AS q LOOP
    is_known := (item->>1)::boolean;
    r_n := number;
    IF item->>0 = 'g' THEN
      place := ${placeOf('(item->>2)')};
      SELECT e.key, e.version, e.expires_at, CASE WHEN NOT is_known THEN e.text END AS text,
          CASE WHEN NOT is_known THEN e.bytes END AS bytes INTO e
        FROM holdfast_entries AS e WHERE e.part = place AND e.key = item->>3 AND ${LIVE};
      IF FOUND THEN
        cost := ${row('e.key', 'e.version', SIZE)};
        EXIT questions WHEN used > 0 AND used + cost > most_bytes;
        used := used + cost;
        r_key := e.key; r_version := e.version; r_expires_at := e.expires_at;
        r_kind := CASE WHEN is_known THEN 't' ELSE ${KIND} END;
        r_value := CASE WHEN is_known THEN '' ELSE ${VALUE('r_kind')} END;
        RETURN NEXT;
      END IF;
    ELSIF item->>0 = 'r' THEN
      place := ${placeOf('(item->>2)')};
      most := (item->>5)::int; backwards := (item->>6)::boolean; keys_only := (item->>7)::boolean;
      found_rows := 0;
      FOR e IN ${page('ASC')} UNION ALL ${page('DESC')} LOOP
        cost := ${row('e.key', 'e.version', SIZE)};
        EXIT questions WHEN found_rows = 0 AND used > 0 AND used + cost > most_bytes;
        IF found_rows = most
          OR (found_rows > 0 AND NOT is_known AND (${charge(SIZE)} > room OR used + cost > most_bytes)) THEN
          r_key := NULL; r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL;
          RETURN NEXT;
          EXIT;
        END IF;
        used := used + cost;
        IF NOT is_known THEN room := greatest(0, room - (${charge(SIZE)})); END IF;
        r_key := e.key; r_version := e.version; r_expires_at := e.expires_at;
        r_kind := CASE WHEN keys_only THEN 't' ELSE ${KIND} END;
        r_value := CASE WHEN keys_only THEN '' ELSE ${VALUE('r_kind')} END;
        found_rows := found_rows + 1;
        RETURN NEXT;
      END LOOP;
    ELSE
      most := (item->>4)::int;
      r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL;
      -- One index seek per part, for any number of entries.
      place := (SELECT min(p.part) FROM holdfast_entries AS p WHERE p.part >= item->>2 AND p.part < item->>3);
      long := ${nextLong('>=', 'item->>2')};
      found_rows := 0;
      WHILE coalesce(place, long) IS NOT NULL LOOP
        r_key := least(place, long);
        cost := ${row('r_key', `''`)};
        EXIT questions WHEN found_rows = 0 AND used > 0 AND used + cost > most_bytes;
        IF found_rows = most
          OR (found_rows > 0 AND NOT is_known AND (64 + length(r_key) > room OR used + cost > most_bytes)) THEN
          r_key := NULL;
        END IF;
        RETURN NEXT;
        EXIT WHEN r_key IS NULL;
        used := used + cost;
        IF NOT is_known THEN room := greatest(0, room - 64 - length(r_key)); END IF;
        found_rows := found_rows + 1;
        IF place = r_key THEN
          place := (SELECT min(p.part) FROM holdfast_entries AS p WHERE p.part > r_key AND p.part < item->>3);
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

/** Finds the last number of the log under `name` as `seq`; null if something else is stored there. */
const END_OF_LOG = `SELECT e.key, e.text INTO e FROM holdfast_entries AS e
          WHERE e.part = place AND e.key >= name AND e.key < left(name, -1) || '"' ORDER BY e.part DESC, e.key DESC LIMIT 1;
        seq := CASE WHEN e.key IS NULL THEN 0
          WHEN substr(e.key, length(name) + 1) !~ '^[0-9]{${DIGITS}}$' THEN NULL
          WHEN right(e.key, ${DIGITS}) <> '${encodeNumber(0)}' THEN right(e.key, ${DIGITS})::bigint
          -- The log was trimmed to its end.
          WHEN e.text ~ '^[0-9]{1,${DIGITS}}$' THEN e.text::bigint END;
        IF seq > ${LAST_NUMBER} THEN seq := NULL; END IF;`
const REFUSE_NO_LOG = `IF seq IS NULL THEN RAISE EXCEPTION USING MESSAGE = name, ERRCODE = '${NOT_A_LOG}',
            DETAIL = 'holdfast: what lives under this prefix is no log'; END IF;`

const UPSERT = `ON CONFLICT (part, key) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
  text = excluded.text, bytes = excluded.bytes`

/** After this many milliseconds a row of `holdfast_locks` may be removed. It is created again if needed. */
const LOCK_ROWS_LAST = 60_000

/**
 * `holdfast_commit({id, digest, deadline, window, strict, sweep, room, most, locks, parts, commits}, wait)`. All locks
 * are taken before anything is read, in one order and each in one mode, so there is no deadlock. They end with the
 * transaction. The function waits for them at most `wait` milliseconds. See `locks.ts` for the choice of locks. A
 * commit is `[id, checks, ops]`. A check is `[part, key, version | null]` or, with a number, `[part, log, last]`. Parts
 * are indexes into `parts`.
 *
 * Returns a row per failed check, in order, with the current state; for a log, its end in `value`. The last row has the
 * verdicts in `value`, and in `n` the number of expired rows swept. A request outside of its replay window returns one
 * row of kind `late`, a reused id one of kind `reused`, and a request that must be sent once more one of kind `again`
 * (see `locks.ts`).
 */
export const COMMIT: string = `CREATE FUNCTION holdfast_commit(request jsonb, wait int) RETURNS ${ROWS}
LANGUAGE plpgsql VOLATILE ${SETTINGS} AS $commit$
#variable_conflict use_column
DECLARE
  moment bigint := ${NOW};
  given_up timestamptz := clock_timestamp() + wait * interval '1 millisecond';
  asked timestamptz := clock_timestamp();
  ids bigint[];
  missing bigint[] := '{}';
  room bigint := (request->>'room')::bigint;
  used bigint := 0;
  parts text[];
  earlier record;
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
  trimmed bigint;
  swept int := 0;
  gone int := 0;
  e record;
BEGIN
  IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'holdfast needs the isolation level read committed' USING ERRCODE = '0A000';
  END IF;
  PERFORM set_config('lock_timeout', wait::text, true);
  FOR item IN SELECT l.value FROM jsonb_array_elements(request->'locks') AS l LOOP
    ids := ARRAY(SELECT l.value::bigint FROM jsonb_array_elements(item->1) AS l);
    CASE item->>0
    WHEN 'R' THEN
      -- Locks the existing rows without changing them.
      INSERT INTO holdfast_locks AS l (id, made_at) SELECT u.id, moment FROM unnest(ids) AS u (id)
        ON CONFLICT (id) DO UPDATE SET id = excluded.id WHERE false;
    WHEN 'r' THEN
      FOR i IN 1..cardinality(ids) LOOP
        LOOP
          PERFORM FROM holdfast_locks AS l WHERE l.id = ids[i] FOR SHARE;
          EXIT WHEN FOUND;
          IF item->2 IS NULL THEN
            INSERT INTO holdfast_locks (id, made_at) VALUES (ids[i], moment) ON CONFLICT DO NOTHING;
            EXIT WHEN FOUND;
          ELSE
            IF EXISTS (SELECT FROM holdfast_entries AS e WHERE e.part = ${placeOf(`(request->'parts'->>(item->2->>(i - 1))::int)`)}) THEN
              missing := missing || ids[i];
            END IF;
            EXIT;
          END IF;
        END LOOP;
      END LOOP;
    WHEN 'a' THEN PERFORM pg_advisory_xact_lock_shared(u.id) FROM unnest(ids) AS u (id);
    ELSE PERFORM pg_advisory_xact_lock(u.id) FROM unnest(ids) AS u (id);
    END CASE;
    IF clock_timestamp() > asked + interval '10 ms' THEN
      asked := clock_timestamp();
      IF asked >= given_up THEN
        RAISE EXCEPTION 'holdfast has waited for other requests for too long' USING ERRCODE = '55P03';
      END IF;
      PERFORM set_config('lock_timeout', ceil(extract(epoch FROM given_up - asked) * 1000)::text, true);
    END IF;
  END LOOP;
  -- now() would be the time before waiting for locks.
  moment := ${NOW};
  IF cardinality(missing) > 0 THEN
    INSERT INTO holdfast_locks (id, made_at) SELECT u.id, moment FROM unnest(missing) AS u (id) ORDER BY u.id
      ON CONFLICT DO NOTHING;
    r_n := 0; r_expires_at := moment; r_kind := 'again';
    RETURN NEXT;
    RETURN;
  END IF;

  SELECT q.digest, q.record::jsonb AS record, q.answered_until INTO earlier
    FROM holdfast_requests AS q WHERE q.id = request->>'id';
  IF FOUND THEN
    r_kind := CASE WHEN earlier.answered_until <= moment THEN 'late' WHEN earlier.digest <> request->>'digest' THEN 'reused' END;
    kept := earlier.record;
  ELSIF NOT (request->>'deadline')::float8 BETWEEN moment AND moment + (request->>'window')::bigint THEN
    r_kind := 'late';
  END IF;
  IF r_kind IS NOT NULL THEN
    r_n := 0; r_expires_at := moment;
    RETURN NEXT;
    RETURN;
  END IF;

  IF NOT (request->>'strict')::boolean THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  INSERT INTO holdfast_long_parts (name) SELECT p.value FROM jsonb_array_elements_text(request->'parts') AS p
    WHERE length(p.value) > ${LONGEST_PART} ORDER BY p.value ON CONFLICT DO NOTHING;
  parts := ARRAY(SELECT ${placeOf('p.value')} FROM jsonb_array_elements_text(request->'parts') AS p);

  FOR c IN SELECT m.value FROM jsonb_array_elements(request->'commits') AS m LOOP
    failed := '{}';
    items := c->1;
    FOR number IN 0..jsonb_array_length(items) - 1 LOOP
      CONTINUE WHEN kept IS NOT NULL
        AND NOT coalesce(kept->cardinality(verdicts)->'failed' @> to_jsonb(number), false);
      item := items->number;
      place := parts[(item->>0)::int + 1];
      name := item->>1;
      r_key := NULL; r_version := NULL; r_expires_at := NULL; r_kind := NULL; r_value := NULL; r_n := NULL;
      IF jsonb_typeof(item->2) = 'number' THEN
        ${END_OF_LOG}
        IF kept IS NOT NULL THEN
          -- The verdict on the request stands, even if the keys no longer form a log.
          seq := coalesce(seq, 0);
        ELSE
          ${REFUSE_NO_LOG}
          CONTINUE WHEN seq = (item->>2)::bigint;
        END IF;
        r_value := seq;
        used := used + ${row(`''`, `''`)} + 17;
      ELSE
        SELECT e.key, e.version, e.expires_at, e.text, e.bytes INTO e FROM holdfast_entries AS e
          WHERE e.part = place AND e.key = name AND ${LIVE};
        CONTINUE WHEN kept IS NULL AND e.version IS NOT DISTINCT FROM item->>2;
        IF e.key IS NOT NULL THEN
          r_version := e.version; r_expires_at := e.expires_at; r_kind := 'x';
          IF ${charge(SIZE)} <= room THEN
            room := room - (${charge(SIZE)});
            r_kind := ${KIND};
            r_value := ${VALUE('r_kind')};
          END IF;
        END IF;
        used := used + ${row(`''`, `coalesce(r_version, '')`)} + coalesce(octet_length(r_value) + 24, 0);
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
      WHEN 't' THEN
        ${END_OF_LOG}
        ${REFUSE_NO_LOG}
        seq := least(seq, (item->>3)::bigint);
        trimmed := coalesce((SELECT CASE WHEN e.text ~ '^[0-9]{1,${DIGITS}}$' THEN e.text::bigint END FROM holdfast_entries AS e
          WHERE e.part = place AND e.key = name || '${encodeNumber(0)}'), 0);
        IF seq > trimmed THEN
          DELETE FROM holdfast_entries AS d WHERE d.part = place
            AND d.key > name || lpad(trimmed::text, ${DIGITS}, '0') AND d.key <= name || lpad(seq::text, ${DIGITS}, '0');
          INSERT INTO holdfast_entries (part, key, version, text)
            VALUES (place, name || '${encodeNumber(0)}', c->>0, seq::text) ${UPSERT};
        END IF;
      ELSE
        r_expires_at := NULL;
        IF item->>0 = 'a' THEN
          ${END_OF_LOG}
          ${REFUSE_NO_LOG}
          seq := seq + 1;
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

  r_value := '[' || array_to_string(verdicts, ',') || ']';
  IF kept IS NULL AND used + octet_length(r_value) * 2 > (request->>'most')::bigint THEN
    RAISE EXCEPTION 'The answer is too large' USING ERRCODE = '${ANSWER_TOO_LARGE}';
  END IF;
  IF kept IS NULL THEN
    -- In the second half of its life, the record only shows that a repeat is too late.
    INSERT INTO holdfast_requests (id, digest, record, answered_until, expires_at) VALUES (request->>'id', request->>'digest',
      r_value, moment + (request->>'window')::bigint, moment + 2 * (request->>'window')::bigint);
  END IF;
  IF (request->>'sweep')::int > 0 THEN
    -- Comes last and skips rows that others have locked, so it cannot cause a deadlock.
    DELETE FROM holdfast_entries AS d WHERE (d.part, d.key) IN (SELECT e.part, e.key FROM holdfast_entries AS e
      WHERE e.expires_at <= moment ORDER BY e.expires_at LIMIT (request->>'sweep')::int FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS swept = ROW_COUNT;
    DELETE FROM holdfast_requests AS d WHERE d.id IN (SELECT q.id FROM holdfast_requests AS q
      WHERE q.expires_at <= moment ORDER BY q.expires_at LIMIT (request->>'sweep')::int FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    swept := greatest(swept, gone);
    DELETE FROM holdfast_locks AS d WHERE d.id IN (SELECT l.id FROM holdfast_locks AS l
      WHERE l.made_at <= moment - ${LOCK_ROWS_LAST} ORDER BY l.made_at LIMIT (request->>'sweep')::int FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    swept := greatest(swept, gone);
  END IF;
  r_n := swept; r_key := NULL; r_version := NULL; r_expires_at := moment; r_kind := NULL;
  RETURN NEXT;
END $commit$`
