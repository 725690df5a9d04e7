/** What the parts of a run are called: by name and number, in the order of the calls. @module */
import { invalid } from '../core/errors.ts'
import { hasher } from '../core/hash.ts'
import { utf8Bytes } from '../core/keys.ts'

/** A name that ends like this gets its number always, so that no two parts have one id. */
const NUMBERED = /#(?:\d+|undo)$/
const MAX_NAME_BYTES = 200

/** The id of the n-th part of a name. */
const idOf = (name: string, n: number): string => (n === 1 && !NUMBERED.test(name) ? name : `${name}#${n}`)

/** The id of what undoes a step. */
export const undoOf = (stepId: string): string => `${stepId}#undo`

/** Gives ids: the first `pay` is `pay`, the second `pay#2`. */
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
  throw invalid(`The name of a ${what} must be text of 1 to ${MAX_NAME_BYTES} UTF-8 bytes, not ${typeof name}`)
}

/**
 * The idempotency key of a step: of this life of this run and this step, and of nothing else. The separator is escaped in
 * both halves. What is left can stand in an HTTP header.
 */
export const idempotencyKeyOf = (life: string, stepId: string): string =>
  `${encodeURIComponent(life)}:${encodeURIComponent(stepId)}`

/** 128 bits that follow from a life and what they are for. */
function bitsOf(life: string, purpose: string, n: number): string {
  const halves = ['a', 'b'].map((half) => {
    const hash = hasher()
    for (const text of [half, life, purpose]) hash.text(text)
    hash.number(n)
    return hash.finish()
  })
  return halves.join('')
}

/** A number from 0 to below 1: always the same for the n-th call of a life. */
export const randomOf = (life: string, n: number): number =>
  Number.parseInt(bitsOf(life, 'random', n).slice(0, 13), 16) / 2 ** 52

/** A UUID of version 8: always the same for the n-th call of a life. */
export function uuidOf(life: string, n: number): string {
  const hex = bitsOf(life, 'uuid', n)
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** The id of a run that another one starts: of that one's life, so that no later life finds it. */
export function childIdOf(runId: string, life: string, id: string): string {
  const tail = bitsOf(life, `child ${id}`, 0).slice(0, 12)
  const readable = `${runId}/${id}/${tail}`
  return utf8Bytes(readable) <= 256 ? readable : `child/${bitsOf(life, `child ${id}`, 1)}`
}
