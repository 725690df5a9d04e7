/** The subset of `bun:sqlite` that is used. */
declare module 'bun:sqlite' {
  class Statement {
    values(...parameters: (string | number | null | Uint8Array)[]): unknown[][] | null
    run(...parameters: (string | number | null | Uint8Array)[]): { changes: number }
  }

  class Database {
    constructor(path: string)
    readonly filename: string
    prepare(sql: string): Statement
    run(sql: string): unknown
    close(): void
  }
}
