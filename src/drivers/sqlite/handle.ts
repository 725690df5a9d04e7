/** The interface of a synchronous SQLite engine, so that one driver serves them all. @module */

/** A value bound to a statement. */
export type SqliteValue = string | number | null | Uint8Array

/** One row. */
export type SqliteRow = readonly unknown[]

/**
 * A prepared statement. Rows are arrays in the order of the columns, which engines create faster than objects. Integers
 * come as `number` or as `bigint`.
 */
export interface SqliteStatement {
  get(...values: SqliteValue[]): SqliteRow | undefined
  all(...values: SqliteValue[]): SqliteRow[]
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
}

/** An open connection. */
export interface SqliteHandle {
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  close(): unknown
}
