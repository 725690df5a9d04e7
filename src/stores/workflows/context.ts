/**
 * Contexts: values shared by the steps of a run. A context is stored beside the run's record, and changes only while
 * the run has not ended.
 *
 * The names come from distri's `update_context` and `patch_context`.
 *
 * @module
 */
import { type Known, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
import { type Along, type Cells, cells } from '../../core/cells.ts'
import { copyOf, decode, encode } from '../../core/codec.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { Entry, EntryKey } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { CONTEXT, type TenantParts } from '../../core/keys.ts'
import { WRITE, type WriteOptions } from '../../core/options.ts'
import { type RunProposal, type RunRecords, ended } from '../../runs/record.ts'
import { isTerminal } from '../../runs/status.ts'

/** Options of {@link ContextStore.updateContext}. */
export interface ContextOptions extends WriteOptions {
  /** Writes only over this version; `0` if the context must never have been written. */
  readonly expectedVersion?: number | undefined
}

const UPDATE: Known<ContextOptions> = { ...WRITE, expectedVersion: true }

/** The contexts of one tenant's runs. */
export interface ContextStore {
  /**
   * Replaces the context.
   *
   * @param runId - the run
   * @param context - any structured value, see `setJson`
   * @param options - `expectedVersion` makes the write conditional
   * @returns the new version, from 1
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended, `CONFLICT` if the context has
   *   another version than expected
   */
  updateContext(runId: string, context: unknown, options?: ContextOptions): Promise<{ readonly version: number }>
  /**
   * Sets some members of a context that is a plain object. Concurrent patches are all kept.
   *
   * @param runId - the run
   * @param patch - the members to set
   * @returns the new version and the whole context
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended, `CONFLICT` if the context is
   *   not a plain object
   */
  patchContext(
    runId: string,
    patch: Readonly<Record<string, unknown>>,
    options?: WriteOptions,
  ): Promise<{ readonly version: number; readonly context: Readonly<Record<string, unknown>> }>
}

/** A stored context. The cached value is never an object that a caller holds. */
export interface StoredContext {
  readonly version: number
  readonly context: unknown
}

/** The context of a run that never wrote one. */
const EMPTY: StoredContext = { version: 0, context: {} }

/** The part of a workflow store that handles contexts, and patches that steps commit along with their own changes. */
export interface RunContexts {
  readonly store: ContextStore
  /** Prepares a patch for the commit of another change. @throws `INVALID_ARGUMENT` for anything but a plain object */
  patching(patch: Readonly<Record<string, unknown>>): (runId: string) => ContextPatch
}

/** A patch of a context in the commit of another change. */
export interface ContextPatch {
  readonly along: Along
  /** Why the patch is refused, as far as the cache shows. It is certain once a commit has checked `along`. */
  readonly refusal: HoldfastError | undefined
}

/** The contexts of a tenant. All stores over one database share one cache. */
export function runContexts(db: InnerDatabase, parts: TenantParts, runs: RunRecords): RunContexts {
  const contexts: Cells<StoredContext> = db.shared(`contexts of ${parts.runs}`, () => cells(db, readContext))
  const contextAt = (runId: string): EntryKey => ({ part: parts.run(runId), key: CONTEXT })

  /** Changes a run's context in the commit of another change. `result` is the new context, or the refusal. */
  function contextAlong(
    runId: string,
    change: (before: StoredContext) => StoredContext,
  ): { readonly along: Along; readonly result: StoredContext | HoldfastError } {
    let result: StoredContext | HoldfastError
    const along = contexts.along(contextAt(runId), (stored = EMPTY) => {
      try {
        const next = change(stored)
        result = next
        return { value: encode(next), holds: next }
      } catch (error) {
        result = error as HoldfastError
        return undefined
      }
    })
    return { along, result: result! }
  }

  /** Changes a run's context in a commit that also checks that the run has not ended. */
  function changeContext(
    runId: string,
    change: (before: StoredContext) => StoredContext,
    options: WriteOptions,
  ): Promise<StoredContext> {
    return runs.changeExisting(
      runId,
      (run): RunProposal<StoredContext> => {
        if (isTerminal(run.status)) throw ended(run)
        const { along, result } = contextAlong(runId, change)
        return {
          along: [along],
          done() {
            if (result instanceof Error) throw result
            return result
          },
        }
      },
      options,
    )
  }

  return {
    store: {
      async updateContext(runId, context, given) {
        if (context === undefined) throw invalid('context must be given; pass {} or null to empty it')
        const options = requireOptions(given, UPDATE)
        const { expectedVersion } = options
        if (expectedVersion !== undefined) requireInteger(expectedVersion, 'expectedVersion')
        const kept = copyOf(context)
        const { version } = await changeContext(
          runId,
          (before) => {
            if (expectedVersion !== undefined && before.version !== expectedVersion) {
              throw new HoldfastError('CONFLICT', `The context has version ${before.version}, not ${expectedVersion}`, {
                details: { version: before.version },
              })
            }
            return { version: before.version + 1, context: kept }
          },
          options,
        )
        return { version }
      },
      async patchContext(runId, patch, given) {
        const options = requireOptions(given, WRITE)
        const { version, context } = await changeContext(runId, patchWith(patch), options)
        return { version, context: copyOf(context) as Readonly<Record<string, unknown>> }
      },
    },
    patching(patch) {
      const change = patchWith(patch)
      return (runId) => {
        const { along, result } = contextAlong(runId, change)
        return { along, refusal: result instanceof Error ? result : undefined }
      }
    },
  }
}

/** The context of a new run. */
export const firstContext = (context: unknown): StoredContext =>
  context === undefined ? EMPTY : { version: 1, context }

/** Decodes a stored context. */
export const readContext = (entry: Entry | null): StoredContext =>
  entry ? (decode(entry.value) as StoredContext) : EMPTY

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** @throws `INVALID_ARGUMENT` for anything but a plain object, `SERIALIZATION` for a member that cannot be stored */
function patchWith(patch: Readonly<Record<string, unknown>>): (before: StoredContext) => StoredContext {
  if (!isPlain(patch)) throw invalid(`context must be a plain object, not ${shown(patch)}`)
  const kept = copyOf(patch) as typeof patch
  return ({ version, context }) => {
    if (!isPlain(context)) {
      throw new HoldfastError('CONFLICT', 'The context is not a plain object; replace it with updateContext', {
        details: { version },
      })
    }
    return { version: version + 1, context: { ...context, ...kept } }
  }
}
