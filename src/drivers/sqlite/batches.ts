/** What a client has to offer that takes a list of statements as one transaction. @module */

/** A statement and its parameters, `?1` being the first. */
export interface Statement {
  readonly sql: string
  readonly args: (string | number | null | Uint8Array)[]
}

/** A client of such a database. */
export interface Batches {
  /** The name of the driver. */
  readonly name: string
  /** What is said to be out of reach. */
  readonly title: string
  /** How long a call is tried, in milliseconds. */
  readonly timeout: number
  /** Runs statements as one transaction, and gives the rows of each: objects by the names of columns. */
  run(statements: Statement[], isWrite: boolean): Promise<readonly unknown[][]>
  /** Looked at when the driver is opened, as a statement and what refuses a database by its first row. */
  readonly fitness?: { readonly sql: string; require(row: unknown): void } | undefined
}
