/** The subset of `node:sqlite` that is used: the module is newer than the Node types that we compile against. */
declare module 'node:sqlite' {
  type SQLInputValue = null | number | bigint | string | Uint8Array
  type SQLOutputValue = null | number | bigint | string | Uint8Array

  interface DatabaseSyncOptions {
    open?: boolean
    readOnly?: boolean
    enableForeignKeyConstraints?: boolean
    timeout?: number
  }

  class StatementSync {
    all(...parameters: SQLInputValue[]): Record<string, SQLOutputValue>[]
    get(...parameters: SQLInputValue[]): Record<string, SQLOutputValue> | undefined
    run(...parameters: SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint }
    setReadBigInts(enabled: boolean): void
    setReturnArrays(enabled: boolean): void
  }

  class DatabaseSync {
    constructor(path: string, options?: DatabaseSyncOptions)
    readonly isOpen: boolean
    readonly isTransaction: boolean
    open(): void
    close(): void
    exec(sql: string): void
    prepare(sql: string): StatementSync
  }
}
