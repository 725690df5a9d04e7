/**
 * Long values have a table of their own, so that a search for a key never reads the values of its neighbours.
 *
 * SQLite compares a key with whole rows of a `WITHOUT ROWID` table. If a row does not fit into its page, it continues
 * in others, and all of them are read. So a row that would not fit has an empty text as value, and the id and length of
 * the real value, which is in `holdfast_long_values`. A trigger deletes the value with its row.
 *
 * @module
 */

/** The bytes of a row besides part, key and value that count toward its page: version, expiry, headers. */
const ROW_BYTES = 42

/**
 * The most bytes of part, key and value together in a row that stays in its page.
 *
 * @param pageSize - the page size of the file, in bytes
 */
export const shortBytes = (pageSize: number): number => Math.floor(((pageSize - 12) * 64) / 255) - 23 - ROW_BYTES

/** The same for SQLite's default page size, for databases that do not report theirs. */
export const SHORT_BYTES: number = shortBytes(4096)

/** SQL for the length of a row's value in bytes. It reads no long value. `row` names a row of `holdfast_keys`. */
export const octetsOf = (row: string): string => `coalesce(${row}.long_bytes, octet_length(${row}.value))`

/** SQL for the value of a row. A long value is read only if the expression is evaluated. */
export const valueOf = (row: string): string => `CASE WHEN ${row}.long_id IS NULL THEN ${row}.value
  ELSE (SELECT long.value FROM holdfast_long_values AS long WHERE long.id = ${row}.long_id) END`

/** SQL for whether a value is to be stored as a long one. */
export const isLong = (part: string, key: string, value: string): string =>
  `length(${part}) + length(${key}) + octet_length(${value}) > ${SHORT_BYTES}`
