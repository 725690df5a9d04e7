/** Problems that a verification can find. @module */

/**
 * The kind of a problem.
 *
 * | kind | problem | repair |
 * | --- | --- | --- |
 * | `unreadable` | a value cannot be decoded | none: restore it from a backup |
 * | `newer-format` | a newer release has written a value | none: use that release |
 * | `gap` | a log lacks a seq | none: restore the run from a backup |
 * | `mismatch` | two entries of a run contradict each other | none |
 * | `orphan` | a run has entries but no record | none: restore it, or delete the run |
 * | `missing-index` | an index lacks an entry for a run | the entry is written |
 * | `wrong-index` | an index entry contradicts the run's record | the entry is written |
 * | `dangling-index` | an index entry matches no run | the entry is removed |
 * | `unknown` | this release does not know the part or key | none |
 */
export type ProblemKind =
  | 'unreadable'
  | 'newer-format'
  | 'gap'
  | 'mismatch'
  | 'orphan'
  | 'missing-index'
  | 'wrong-index'
  | 'dangling-index'
  | 'unknown'

/** A problem. */
export interface Problem {
  readonly kind: ProblemKind
  readonly part: string
  /** The key of the entry; absent if the problem concerns the whole part. */
  readonly key?: string
  readonly message: string
  readonly repaired: boolean
}

/** Receives a problem. */
export type Report = (problem: Omit<Problem, 'repaired'> & { readonly repaired?: boolean }) => void
