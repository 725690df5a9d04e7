/**
 * Wake-up hints: what tells a worker over any channel that a step can be worked on. A hint promises nothing and carries
 * nothing that counts: one that is lost, late or broken is a wake-up missed, and the next poll finds the step.
 *
 * @module
 */
import { requireGiven } from '../core/arguments.ts'
import { encodeId } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { encodeTags } from './indexes.ts'

/** Names a step that may be there to be worked on. */
export interface TaskWakeupHint {
  readonly runId: string
  readonly stepId: string
  readonly definitionHash?: string | undefined
  /** Of the run; a worker that lacks one of them need not look. */
  readonly tags?: readonly string[] | undefined
}

const VERSION = 'h1.'
/** More than any hint takes, and nothing to be afraid of. */
const MAX_LENGTH = 16_384

/** The members of a hint and no others. @throws `INVALID_ARGUMENT` for what is none */
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
 * @param hint - an offered task is one, too
 * @returns letters, digits, `.`, `-` and `_`: at most 16384 of them, most often about 100
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
  // What is beyond ASCII is escaped by code unit, as JSON allows.
  const json = JSON.stringify(requireHint(hint)).replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return VERSION + btoa(json).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * Reads a hint.
 *
 * @param text - what came over the channel
 * @returns `undefined` for what {@link encodeHint} has not written, or a later version of it; never an error
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
