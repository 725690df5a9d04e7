/**
 * Long values: they lie in a table of their own, so that looking for a key never reads the values of its neighbours.
 *
 * SQLite compares a key with whole rows of a `WITHOUT ROWID` table, and a row that does not fit into its page goes on in
 * others, all of which are then read. So a row that would not fit keeps an empty text in place of its value, and the id
 * and the length of the value in `holdfast_long_values`. A trigger deletes the value with its row.
 *
 * @module
 */

/** Of a row, counted toward what fits into its page besides part, key and value: version, expiry, what precedes them. */
const ROW_BYTES = 42

/**
 * How many bytes part, key and value may have together for a row to stay in its page.
 *
 * @param pageSize - of the file, in bytes
 */
export const shortBytes = (pageSize: number): number => Math.floor(((pageSize - 12) * 64) / 255) - 23 - ROW_BYTES

/** The same of pages as SQLite makes them by default, for databases that do not tell. */
export const SHORT_BYTES: number = shortBytes(4096)

/** How many bytes the value of a row has, as SQL. Reads no long value. `row` names a row of `holdfast_keys`. */
export const octetsOf = (row: string): string => `coalesce(${row}.long_bytes, octet_length(${row}.value))`

/** The value of a row, as SQL. A long one is read only where the expression is evaluated. */
export const valueOf = (row: string): string => `CASE WHEN ${row}.long_id IS NULL THEN ${row}.value
  ELSE (SELECT long.value FROM holdfast_long_values AS long WHERE long.id = ${row}.long_id) END`

/** Whether a value is to be long, as SQL. */
export const isLong = (part: string, key: string, value: string): string =>
  `length(${part}) + length(${key}) + octet_length(${value}) > ${SHORT_BYTES}`
