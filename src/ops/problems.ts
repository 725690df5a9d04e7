/** What a verification can find. @module */

/**
 * What is wrong.
 *
 * | kind | what | repaired by |
 * | --- | --- | --- |
 * | `unreadable` | a value that the codec cannot read | nothing: restore it from a backup |
 * | `newer-format` | a value that a newer release has written | nothing: use that release |
 * | `gap` | a number is missing in a log | nothing: restore the run from a backup |
 * | `mismatch` | two entries of a run that belong together contradict each other | nothing |
 * | `orphan` | entries of a run whose record is missing | nothing: restore it, or delete the run |
 * | `missing-index` | an index lacks what the run's record says | writing it |
 * | `wrong-index` | an index says something else than the run's record | writing it |
 * | `dangling-index` | an index points to what is not there, or not so | removing it |
 * | `unknown` | a part or key that this release does not know | nothing |
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

/** Something that is wrong. */
export interface Problem {
  readonly kind: ProblemKind
  readonly part: string
  /** The entry that it is about; left out where it is about the whole part. */
  readonly key?: string
  readonly message: string
  readonly repaired: boolean
}

/** Takes a problem. */
export type Report = (problem: Omit<Problem, 'repaired'> & { readonly repaired?: boolean }) => void
