/** The client of a database that runs a list of statements as one transaction. @module */

/** A statement and its parameters, beginning with `?1`. */
export interface Statement {
  readonly sql: string
  readonly args: (string | number | null | Uint8Array)[]
}

/** A client of such a database. */
export interface Batches {
  /** The name of the driver. */
  readonly name: string
  /** The name of the database in error messages. */
  readonly title: string
  /** How long to try a call, in milliseconds. */
  readonly timeout: number
  /** Runs statements as one transaction. Resolves to the rows of each, as objects by column name. */
  run(statements: Statement[], isWrite: boolean): Promise<readonly unknown[][]>
  /**
   * Checked when the driver is opened: a statement, and a function that throws if its first row shows an unfit
   * database.
   */
  readonly fitness?: { readonly sql: string; require(row: unknown): void } | undefined
}
