/** Opens a synchronous SQLite engine by the database or the path that the caller passed. @module */
import { requireGiven } from '../../core/arguments.ts'
import type { Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { type SqliteOptions, sqliteDriver } from './driver.ts'
import type { SqliteStatement } from './handle.ts'

/** The method that the databases of all engines share. */
interface Closable {
  close(): unknown
}

/** One engine: how to load it, and how to use its databases. */
export interface Engine<Db extends Closable> {
  /** The name of the driver. */
  readonly name: string
  /** Loads the engine's class of databases. */
  load(): Promise<new (path: string) => Db>
  /** The error message if it does not load. */
  readonly missing: string
  /** Whether a database exists only in memory. */
  isMemory(db: Db): boolean
  /** Compiles a statement whose rows are arrays. */
  prepare(db: Db, sql: string): SqliteStatement
  /** Runs statements without results. */
  exec(db: Db, sql: string): unknown
}

/** The options that say which database to use. */
interface Source<Db> extends SqliteOptions {
  readonly db?: Db | { readonly $client: Db }
  readonly path?: string
}

/**
 * Creates a driver over an engine.
 *
 * @throws `INVALID_ARGUMENT` for a malformed option
 */
export function driverOver<Db extends Closable>(engine: Engine<Db>, options: Source<Db>): Driver {
  const { db, path } = requireGiven(options, 'options')
  if ((db === undefined) === (path === undefined)) throw invalid('Pass either db or path, not both')
  const given = db !== undefined && '$client' in db ? db.$client : db
  return sqliteDriver(
    {
      name: engine.name,
      isShared: given !== undefined,
      isMemory: given === undefined ? path === ':memory:' || path === '' : engine.isMemory(given),
      async open() {
        const opened = given ?? (await openPath(engine, path!))
        return {
          prepare: (sql) => engine.prepare(opened, sql),
          exec: (sql) => engine.exec(opened, sql),
          close: () => opened.close(),
        }
      },
    },
    options,
  )
}

async function openPath<Db extends Closable>(engine: Engine<Db>, path: string): Promise<Db> {
  let Database
  try {
    Database = await engine.load()
  } catch (cause) {
    throw new HoldfastError('UNSUPPORTED', engine.missing, { cause })
  }
  return new Database(path)
}
