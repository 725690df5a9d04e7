/**
 * Interventions: an operator's instructions to a run, which the run takes one by one.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { decode, encode } from '../../core/codec.ts'
import type { InnerDatabase, Draft } from '../../core/database.ts'
import type { Entry } from '../../core/driver.ts'
import { CONSUMED, INTERVENTIONS, type TenantParts, decodeNumber, encodeId, encodeNumber } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { WRITE, type WriteOptions } from '../../core/options.ts'
import { prepareAppend } from './append.ts'
import type { NewEvent } from '../../runs/events.ts'
import { type RunProposal, type RunRecords, ended } from '../../runs/record.ts'
import { isTerminal } from '../../runs/status.ts'

/** An operator's instruction to a run. */
export interface NewIntervention {
  readonly targetStep: string
  /** The input of the step, or its replaced output; any structured value. `run` takes it as the step's result. */
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

/** An event that another change appends. It has no seq and no idempotency key of its own. */
export type Note = Omit<NewEvent, 'runId' | 'workflow' | 'seq' | 'idempotencyKey'>

/** Options of {@link InterventionStore.consumeIntervention}. */
export interface ConsumeInterventionOptions extends WriteOptions {
  /** Makes an event from the intervention taken. It is appended to the run's log in the same commit. */
  readonly event?: ((taken: Intervention) => Note) | undefined
}

const CONSUME: Known<ConsumeInterventionOptions> = { ...WRITE, event: true }

/** The interventions of one tenant's runs. */
export interface InterventionStore {
  /**
   * Leaves an instruction for the run, even if the run has ended.
   *
   * @param runId - the run
   * @param intervention - the step it is about, and a payload
   * @returns the stored intervention, with its id
   * @throws `NOT_FOUND` if the run does not exist, `SERIALIZATION` if the payload cannot be stored
   */
  saveIntervention(runId: string, intervention: NewIntervention, options?: WriteOptions): Promise<Intervention>
  /**
   * Takes the oldest intervention not taken yet. If several callers ask at once, exactly one gets it.
   *
   * @param runId - the run
   * @param options - `event` records the decision in the log
   * @returns the intervention; `undefined` if there is none
   * @throws `ALREADY_COMPLETED` if the run has ended and an `event` is to be appended; nothing is taken then
   */
  consumeIntervention(runId: string, options?: ConsumeInterventionOptions): Promise<Intervention | undefined>
}

/** The part of a persistence store that handles interventions. */
export function interventionStore(db: InnerDatabase, parts: TenantParts, runs: RunRecords): InterventionStore {
  return {
    async saveIntervention(runId, intervention, given) {
      const options = requireOptions(given, WRITE)
      const { targetStep, payload, at = db.now() } = requireGiven(intervention, 'intervention')
      encodeId(targetStep, 'targetStep')
      const stored = defined({ targetStep, payload, at: requireInteger(at, 'at') })
      const append = { append: { part: parts.run(runId), key: INTERVENTIONS }, value: encode(stored) }
      return runs.changeExisting(
        runId,
        () => ({ ops: [append], done: ({ seqs: [id] }) => ({ ...stored, id: id!, consumed: false }) }),
        options,
      )
    },
    async consumeIntervention(runId, given) {
      const { event, ...options } = requireOptions(given, CONSUME)
      const part = parts.run(runId)
      return db.hold(async (held) => {
        for (let guess = 0; ;) {
          const consumed = { part, key: CONSUMED }
          const next = { part, key: INTERVENTIONS + encodeNumber(guess + 1) }
          const [cursor, entry] = await held.read([{ get: consumed }, { get: next }], options)
          const taken = Number(cursor?.value ?? 0)
          if (taken !== guess) {
            guess = taken
            continue
          }
          if (entry === null) return undefined
          const intervention = toIntervention(entry, guess + 1)
          const draft = {
            checks: [
              { at: consumed, version: cursor?.version ?? null },
              // The run may be deleted meanwhile. This check keeps its parts from coming back.
              { at: next, version: entry.version },
            ],
            ops: [{ put: consumed, value: String(guess + 1) }],
          }
          const isMine = event
            ? await withEvent(runId, draft, requireGiven(event(intervention), 'event'), options)
            : (await held.commit(draft, options)).ok
          if (isMine) return intervention
        }
      }, options)
    },
  }

  /** Commits the draft with an event in the log of a running run; resolves to whether the draft's checks held. */
  function withEvent(
    runId: string,
    draft: Required<Pick<Draft, 'checks' | 'ops'>>,
    event: Note,
    options: WriteOptions,
  ): Promise<boolean> {
    const append = prepareAppend(db, parts.run(runId), [event])
    return runs.changeExisting(
      runId,
      (run): RunProposal<boolean> => {
        if (isTerminal(run.status)) throw ended(run)
        return {
          checks: draft.checks,
          ops: [...draft.ops, ...append.ops],
          done: () => true,
          failed: (_, stale) => (stale ? undefined : false),
        }
      },
      options,
    )
  }
}

/** Decodes a stored intervention. `taken` is the number of the run's interventions that were consumed. */
export function toIntervention(entry: Entry, taken: number): Intervention {
  const id = decodeNumber(entry.key)
  return { ...(decode(entry.value) as NewIntervention & { at: number }), id, consumed: id <= taken }
}
