/**
 * Wake-up hints tell a worker, over any channel, that a step is ready. A hint promises nothing and carries no state: if
 * one is lost, late or broken, the next poll finds the step.
 *
 * @module
 */
import { requireGiven } from '../core/arguments.ts'
import { encodeId } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { encodeTags } from './indexes.ts'

/** Names a step that may be ready. */
export interface TaskWakeupHint {
  readonly runId: string
  readonly stepId: string
  readonly definitionHash?: string | undefined
  /** The tags of the run. A worker that lacks one of them need not look. */
  readonly tags?: readonly string[] | undefined
}

const VERSION = 'h1.'
/** Longer than any hint, and small enough to parse. */
const MAX_LENGTH = 16_384

/** Checks a hint and copies its known members. @throws `INVALID_ARGUMENT` for a malformed hint */
export function requireHint(hint: TaskWakeupHint): TaskWakeupHint {
  const { runId, stepId, definitionHash, tags } = requireGiven(hint, 'hint')
  encodeId(runId, 'hint.runId')
  encodeId(stepId, 'hint.stepId')
  if (definitionHash !== undefined) encodeId(definitionHash, 'hint.definitionHash')
  if (tags !== undefined) encodeTags(tags)
  return defined({ runId, stepId, definitionHash, tags })
}

/**
 * Writes a hint as text, to be sent over any channel.
 *
 * @param hint - the step to announce; an offered task will do
 * @returns letters, digits, `.`, `-` and `_`: at most 16384 characters, most often about 100
 * @throws `INVALID_ARGUMENT` for malformed ids
 *
 * @example
 * ```ts
 * import { decodeHint, encodeHint } from 'holdfast'
 *
 * const text = encodeHint({ runId: 'order-17', stepId: 'charge', tags: ['gpu'] })
 * console.log(decodeHint(text)?.stepId, decodeHint('garbage')) // charge undefined
 * ```
 */
export function encodeHint(hint: TaskWakeupHint): string {
  // Characters beyond ASCII are escaped by code unit, as JSON allows.
  const json = JSON.stringify(requireHint(hint)).replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return VERSION + btoa(json).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * Reads a hint.
 *
 * @param text - the text received
 * @returns the hint; `undefined` for text that {@link encodeHint} did not write, or that a later version wrote. Never
 *   throws
 */
export function decodeHint(text: string): TaskWakeupHint | undefined {
  try {
    if (!text.startsWith(VERSION) || text.length > MAX_LENGTH) return undefined
    const base64 = text.slice(VERSION.length).replaceAll('-', '+').replaceAll('_', '/')
    return requireHint(JSON.parse(atob(base64)) as TaskWakeupHint)
  } catch {
    return undefined
  }
}
