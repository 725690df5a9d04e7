/** The ids of a run's calls: name and number, in the order of the calls. @module */
import { shown } from '../core/arguments.ts'
import { invalid } from '../core/errors.ts'
import { hasher } from '../core/hash.ts'
import { utf8Bytes } from '../core/keys.ts'

/** A name that ends like this always gets a number, so that no two calls have the same id. */
const NUMBERED = /#(?:\d+|undo)$/
const MAX_NAME_BYTES = 200

/** The id of the n-th call with this name. */
const idOf = (name: string, n: number): string => (n === 1 && !NUMBERED.test(name) ? name : `${name}#${n}`)

/** The id of the step that undoes another. */
export const undoOf = (stepId: string): string => `${stepId}#undo`

/** Creates a function that gives ids: the first `pay` is `pay`, the second is `pay#2`. */
export function numbering(): (kind: string, name: string) => string {
  const used = new Map<string, number>()
  return (kind, name) => {
    const key = `${kind} ${name}`
    const n = (used.get(key) ?? 0) + 1
    used.set(key, n)
    return idOf(name, n)
  }
}

/** @throws `INVALID_ARGUMENT` for anything but text of 1 to 200 bytes */
export function requireName(name: unknown, what: string): string {
  if (typeof name === 'string' && name !== '' && name.isWellFormed() && utf8Bytes(name) <= MAX_NAME_BYTES) return name
  const found = typeof name === 'string' ? `${utf8Bytes(name)} bytes` : shown(name)
  throw invalid(`The name of a ${what} must be text of 1 to ${MAX_NAME_BYTES} UTF-8 bytes, not ${found}`)
}

/**
 * The idempotency key of a step. It is unique: the life's id never repeats, and both halves escape the separator. It can be
 * the value of an HTTP header.
 */
export const idempotencyKeyOf = (life: string, stepId: string): string =>
  `${encodeURIComponent(life)}:${encodeURIComponent(stepId)}`

/** 128 bits as hex digits, derived from a life's id, a purpose and a number. */
function bitsOf(life: string, purpose: string, n: number): string {
  const halves = ['a', 'b'].map((half) => {
    const hash = hasher()
    for (const text of [half, life, purpose]) hash.text(text)
    hash.number(n)
    return hash.finish()
  })
  return halves.join('')
}

/** A number from 0 up to but not including 1, always the same for the n-th call of a life. */
export const randomOf = (life: string, n: number): number =>
  Number.parseInt(bitsOf(life, 'random', n).slice(0, 13), 16) / 2 ** 52

/** A UUID of version 8, always the same for the n-th call of a life. */
export function uuidOf(life: string, n: number): string {
  const hex = bitsOf(life, 'uuid', n)
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** The default id of a run that another run starts. It depends on that run's life, so a later life starts a new run. */
export function childIdOf(runId: string, life: string, id: string): string {
  const tail = bitsOf(life, `child ${id}`, 0).slice(0, 12)
  const readable = `${runId}/${id}/${tail}`
  return utf8Bytes(readable) <= 256 ? readable : `child/${bitsOf(life, `child ${id}`, 1)}`
}
