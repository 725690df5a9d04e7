/**
 * Interventions: what an operator tells a run to do, taken by the run one after the other.
 *
 * @module
 */
import { requireGiven, requireInteger } from '../core/arguments.ts'
import { decode, encode } from '../core/codec.ts'
import type { Database, WriteOptions } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { CONSUMED, INTERVENTIONS, type TenantParts, decodeNumber, encodeId, encodeNumber } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import type { RunRecords } from './run-record.ts'

/** An instruction of an operator to a run, as it is handed in. */
export interface NewIntervention {
  readonly targetStep: string
  /** Replaces the step's input; any structured value. */
  readonly payload?: unknown
  /** In milliseconds since 1970; now by default. */
  readonly at?: number | undefined
}

/** A stored intervention. */
export interface Intervention extends NewIntervention {
  /** Its number within the run, from 1. */
  readonly id: number
  readonly at: number
  readonly consumed: boolean
}

/** The interventions of one tenant's runs. */
export interface InterventionStore {
  /**
   * Leaves an instruction to the run, also to one that has ended.
   *
   * @throws `NOT_FOUND`, `SERIALIZATION`
   */
  saveIntervention(runId: string, intervention: NewIntervention, options?: WriteOptions): Promise<Intervention>
  /** Takes the oldest intervention that was not taken yet: of several callers, exactly one gets it. */
  consumeIntervention(runId: string, options?: WriteOptions): Promise<Intervention | undefined>
}

/** The part of a persistence store that handles interventions. */
export function interventionStore(db: Database, parts: TenantParts, runs: RunRecords): InterventionStore {
  return {
    async saveIntervention(runId, intervention, options = {}) {
      const { targetStep, payload, at = db.now() } = requireGiven(intervention, 'intervention')
      encodeId(targetStep, 'targetStep')
      const stored = defined({ targetStep, payload, at: requireInteger(at, 'at') })
      const append = { append: { part: parts.run(runId), key: INTERVENTIONS }, value: encode(stored) }
      return runs.changeExisting(
        runId,
        () => ({ ops: [append], done: ([id]) => ({ ...stored, id: id!, consumed: false }) }),
        options,
      )
    },
    async consumeIntervention(runId, options = {}) {
      const part = parts.run(runId)
      return db.hold((held) => consume(held, part, options), options)
    },
  }
}

async function consume(db: Database, part: string, options: WriteOptions): Promise<Intervention | undefined> {
  const consumed = { part, key: CONSUMED }
  for (let guess = 0; ;) {
    const next = { part, key: INTERVENTIONS + encodeNumber(guess + 1) }
    const [cursor, entry] = await db.read([{ get: consumed }, { get: next }], options)
    const taken = Number(cursor?.value ?? 0)
    if (taken !== guess) {
      guess = taken
      continue
    }
    if (entry === null) return undefined
    const { ok } = await db.commit(
      {
        checks: [
          { at: consumed, version: cursor?.version ?? null },
          // The run may be deleted in between, and nothing of it may come back.
          { at: next, version: entry.version },
        ],
        ops: [{ put: consumed, value: String(guess + 1) }],
      },
      options,
    )
    if (ok) return toIntervention(entry, guess + 1)
  }
}

/** Reads a stored intervention back; `taken` is how many of the run's were consumed. */
export function toIntervention(entry: Entry, taken: number): Intervention {
  const id = decodeNumber(entry.key)
  return { ...(decode(entry.value) as NewIntervention & { at: number }), id, consumed: id <= taken }
}
