/** What a case is, and what a driver has to bring to be put through them. @module */
import type { Database, DatabaseOptions } from '../core/database.ts'
import type { Capabilities, Driver } from '../core/driver.ts'
import type { Client } from './client.ts'

/** A fresh, isolated database, and what the test bench can do with it. */
export interface Backend {
  /** Not opened yet; the suite opens and closes it. */
  readonly driver: Driver
  /** Takes everything away again, after the driver was closed. */
  dispose?(): Promise<void>
  /** Moves the backend's clock forward. Where this is absent, a case really sleeps. */
  advance?(ms: number): Promise<void> | void
  /**
   * Everything that the backend physically holds of entries: keys, values, indexes, counters, as text or plain objects,
   * read past the driver. Cases look for names in it that must be gone. By default the driver itself is asked.
   */
  dump?(): Promise<unknown[]>
  /** A further driver on the same data, not opened yet, as another process would make one. */
  reopen?(): Promise<Driver>
}

/** How the suite gets at a driver. */
export interface Harness {
  /** For titles and messages. */
  readonly name: string
  /** Makes a fresh, isolated database; called once or more per case. */
  create(): Promise<Backend>
}

/** What a case works with. Everything made through it is closed and disposed of when the case ends. */
export interface Context extends Client {
  readonly harness: Harness
  readonly backend: Backend
  readonly capabilities: Capabilities
  /** A tenant's id. */
  readonly tenant: string
  /** Lets the backend's clock pass, really or by {@link Backend.advance}. */
  sleep(ms: number): Promise<void>
  /** A database over the driver, or over another one. */
  db(options?: Partial<DatabaseOptions>): Database
  /** A client of a further, opened driver on the same data: needs {@link Backend.reopen}. */
  reopen(): Promise<Client>
  /** A client of another fresh database. */
  another(): Promise<Client>
  /** Everything that the backend holds. */
  dump(): Promise<unknown[]>
}

/** What a case is about: the driver, the database facade over it, or a store. */
export type Group = 'driver' | 'database' | 'state' | 'persistence' | 'signals' | 'claims' | 'workflow' | 'idempotency'

/** What all cases have. */
export interface CaseBase {
  /** Stays the same for good: skips name it. */
  readonly id: string
  readonly group: Group
  /** The behaviour, in one sentence. */
  readonly name: string
  /** Throws when the behaviour is not there. */
  run(context: Context): Promise<void>
}

/** A case for every driver. */
export interface PlainCase extends CaseBase {
  readonly needs?: never
  readonly otherwise?: never
}

/** A case that depends on what the driver can do. Something is always tested: nothing is left out in silence. */
export interface GatedCase extends CaseBase {
  /** Whether {@link CaseBase.run} applies. */
  needs(capabilities: Capabilities, backend: Backend): boolean
  /** The opposite case: what is promised where it does not apply. */
  otherwise(context: Context): Promise<void>
}

/** One behaviour, and the code that tells whether it is there. */
export type Case = PlainCase | GatedCase

const GROUPS = {
  DR: 'driver',
  DB: 'database',
  ST: 'state',
  PE: 'persistence',
  SI: 'signals',
  CL: 'claims',
  WF: 'workflow',
  ID: 'idempotency',
} as const

/** The id of a case: its group, and a number. */
export type CaseId = `${keyof typeof GROUPS}-${number}`

/**
 * Makes a case; its group follows from its id.
 *
 * @param gate - for a case that does not apply to every driver: when it does, and what is promised otherwise
 */
export function defineCase(
  id: CaseId,
  name: string,
  run: CaseBase['run'],
  gate?: Pick<GatedCase, 'needs' | 'otherwise'>,
): Case {
  const group = GROUPS[id.slice(0, 2) as keyof typeof GROUPS]
  return gate === undefined ? { group, id, name, run } : { group, id, name, run, ...gate }
}
