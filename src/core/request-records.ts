/**
 * Records of requests, by which a driver recognises a repeat: the verdict on each commit, refusals included, and a
 * digest of the content. Values are never kept.
 *
 * @module
 */
import type { CommitRequest, Op, Outcome } from './driver.ts'
import { HoldfastError } from './errors.ts'
import { hasher } from './hash.ts'

/** The numbers assigned to a commit's appends, or the indexes of its failed checks. */
export type Verdict = readonly number[] | { readonly failed: readonly number[] }

/** The result of a request. */
export interface RequestRecord {
  /** The request's digest, from {@link digestOf}. */
  readonly digest: string
  /** One verdict per commit. */
  readonly verdicts: readonly Verdict[]
}

/** Makes the record of an executed request. */
export const recordOf = (digest: string, outcomes: readonly Outcome[]): RequestRecord => ({
  digest,
  verdicts: outcomes.map((outcome) => (outcome.ok ? outcome.seqs : { failed: outcome.failed.map((f) => f.check) })),
})

/**
 * Refuses a request that could be a repeat whose record is gone.
 *
 * @param now - the backend's clock, in milliseconds since 1970
 * @param window - the driver's replay window, in milliseconds
 * @throws `UNAVAILABLE`, see {@link late}
 */
export function requireInTime({ deadline }: Pick<CommitRequest, 'deadline'>, now: number, window: number): void {
  if (deadline !== undefined && !(deadline >= now && deadline <= now + window)) throw late(now)
}

/**
 * `UNAVAILABLE`: the request was not executed now, because its deadline does not fit the backend's clock. A first
 * attempt may be sent again under another id, with a deadline by the clock in `details.now`.
 *
 * @param now - the backend's clock, in milliseconds since 1970
 */
export const late = (now: number): HoldfastError =>
  new HoldfastError(
    'UNAVAILABLE',
    'The request arrived outside of its replay window and was not executed, because it could be a repeat',
    {
      retryable: true,
      details: { late: true, now },
    },
  )

/** The backend's clock if the error comes from {@link late}, in milliseconds since 1970; otherwise `undefined`. */
export function lateAt(error: unknown): number | undefined {
  const { details } = Object(error) as Partial<HoldfastError>
  return details?.['late'] === true && typeof details['now'] === 'number' ? details['now'] : undefined
}

/** `CONFLICT`: the request id was used before with other content. Nothing was executed. */
export const reused = (id: string): HoldfastError =>
  new HoldfastError('CONFLICT', `The request id ${id} was used before with other content; make a new one`, {
    details: { id },
  })

/**
 * Hashes everything in a request except its id and deadline. The 64 bits guard against mistakes, not attacks. The
 * result is the same in every process and for every order of an object's members.
 */
export function digestOf({ commits }: Pick<CommitRequest, 'commits'>): string {
  const hash = hasher()
  const key = (part: string, name: string): void => {
    hash.text(part)
    hash.text(name)
  }
  hash.number(commits.length)
  for (const { id, checks, ops, durability } of commits) {
    hash.text(id)
    hash.text(durability)
    hash.number(checks.length)
    for (const check of checks) {
      if ('log' in check) {
        key(check.log.part, check.log.key)
        hash.number(check.last)
      } else {
        key(check.at.part, check.at.key)
        hash.text(check.version ?? '')
      }
    }
    hash.number(ops.length)
    for (const op of ops) {
      hash.text(Object.keys(op)[0]!)
      if ('put' in op) {
        key(op.put.part, op.put.key)
        hash.value(op.value)
        const { expires } = op
        hash.number(expires === undefined ? -1 : 'in' in expires ? expires.in : -2 - expires.at)
      } else if ('append' in op) {
        key(op.append.part, op.append.key)
        hash.value(op.value)
        hash.text(op.ref ?? '')
      } else if ('trim' in op) {
        key(op.trim.part, op.trim.key)
        hash.number(op.through)
      } else if ('delete' in op) key(op.delete.part, op.delete.key)
      else if ('deletePart' in op) hash.text(op.deletePart)
      else {
        key(op.deleteRange.part, op.deleteRange.start)
        hash.text(op.deleteRange.end)
      }
    }
  }
  return hash.finish()
}

/** The part that an op changes. */
export const partOf = (op: Op): string => {
  if ('put' in op) return op.put.part
  if ('append' in op) return op.append.part
  if ('delete' in op) return op.delete.part
  if ('trim' in op) return op.trim.part
  return 'deletePart' in op ? op.deletePart : op.deleteRange.part
}
