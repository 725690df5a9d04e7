/** The types of cases, and of the harness that a driver needs to be tested. @module */
import type { Database, DatabaseOptions } from '../core/database.ts'
import type { Capabilities, Driver } from '../core/driver.ts'
import type { Client } from './client.ts'

/** A fresh, isolated database, and controls for tests. */
export interface Backend {
  /** Not opened yet; the suite opens and closes it. */
  readonly driver: Driver
  /** Disposes of the database after the driver was closed. */
  dispose?(): Promise<void>
  /** Moves the backend's clock forward. If absent, cases wait for real. */
  advance?(ms: number): Promise<void> | void
  /**
   * Everything that the backend stores: keys, values, indexes, counters, as text or plain objects, read without the
   * driver. Cases look in it for names that must be gone. By default, the driver itself is read.
   */
  dump?(): Promise<unknown[]>
  /** Creates another driver on the same data, not opened yet, like another process. */
  reopen?(): Promise<Driver>
}

/** The suite's access to a driver. */
export interface Harness {
  /** Shown in titles and messages. */
  readonly name: string
  /** Creates a fresh, isolated database. Called once or more per case. */
  create(): Promise<Backend>
}

/** The tools of a case. Everything created through them is closed and disposed of when the case ends. */
export interface Context extends Client {
  readonly harness: Harness
  readonly backend: Backend
  readonly capabilities: Capabilities
  /** The id of a tenant. */
  readonly tenant: string
  /** Lets time pass on the backend's clock, by waiting or by {@link Backend.advance}. */
  sleep(ms: number): Promise<void>
  /** Creates a database over the driver, or over another one. */
  db(options?: Partial<DatabaseOptions>): Database
  /** Opens another driver on the same data: needs {@link Backend.reopen}. */
  reopen(): Promise<Client>
  /** Opens another fresh database. */
  another(): Promise<Client>
  /** Everything that the backend stores. */
  dump(): Promise<unknown[]>
}

/** The subject of a case: the driver, the database over it, or a store. */
export type Group = 'driver' | 'database' | 'state' | 'persistence' | 'signals' | 'claims' | 'workflow' | 'idempotency'

/** The members that all cases have. */
export interface CaseBase {
  /** Never changes, because skips refer to it. */
  readonly id: string
  readonly group: Group
  /** The behaviour in one sentence. */
  readonly name: string
  /** Throws if the behaviour is missing. */
  run(context: Context): Promise<void>
}

/** A case for every driver. */
export interface PlainCase extends CaseBase {
  readonly needs?: never
  readonly otherwise?: never
}

/**
 * A case that depends on an ability of the driver. A driver without it runs the opposite case, so something is always
 * tested.
 */
export interface GatedCase extends CaseBase {
  /** Whether {@link CaseBase.run} applies. */
  needs(capabilities: Capabilities, backend: Backend): boolean
  /** The opposite case: what holds if `run` does not apply. */
  otherwise(context: Context): Promise<void>
}

/** A behaviour, and the code that checks it. */
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
 * Defines a case. Its group follows from its id.
 *
 * @param gate - for a case that does not apply to every driver: when it applies, and what holds otherwise
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
