/**
 * Structured values as stored text or bytes, format version 1.
 *
 * What JSON can say is stored as just that. What it cannot is an object whose key is `$` and the format version:
 * `{"$1":"Date","value":"2026-01-01T00:00:00.000Z"}`. A key of the caller's that looks like it gets one more `$`. Bytes
 * by themselves stay bytes.
 *
 * @module
 */
import type { Value } from './driver.ts'
import { HoldfastError } from './errors.ts'

const TAG = '$1'
/** Keys that are tags, of this or another version, or escaped keys of the caller. */
const RESERVED = /^\$+\d+$/
/** Far beyond what documents need, and far from the end of any runtime's stack. */
const MAX_DEPTH = 500

const refuse = (message: string, details: Record<string, unknown> = {}, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', message, { details: { reason: 'payload', ...details }, cause })

/**
 * Encodes a structured value: JSON, and besides Date, BigInt, Map, Set, undefined, NaN, infinities, -0, Uint8Array and
 * ArrayBuffer anywhere in it.
 *
 * @param value - holes in arrays count as undefined; properties that are not enumerable are left out
 * @returns bytes for a Uint8Array by itself, text for anything else
 * @throws `SERIALIZATION` for functions, symbols, class instances, cycles, lone surrogates and nesting deeper than 500;
 *   `details.path` tells where
 */
export function encode(value: unknown): Value {
  if (brandOf(value) === 'Uint8Array') return value as Uint8Array
  try {
    if (isPlain(value, MAX_DEPTH)) {
      const text = JSON.stringify(value)
      // How a lone surrogate is written; or a backslash in a string, which the second look tells apart.
      if (!text.includes('\\ud')) return text
    }
    return JSON.stringify(tagged(value, '$', []))
  } catch (cause) {
    throw cause instanceof HoldfastError ? cause : refuse('Cannot store a value that cannot be read', {}, cause)
  }
}

/** Whether JSON says all of it. Deeper than it looks, it answers no, which is how it ends on a cycle. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return value === 0 ? 1 / value > 0 : Number.isFinite(value)
  if (typeof value !== 'object' || depth === 0) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isPlain(value[i], depth - 1)) return false
    return true
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || Object.getOwnPropertySymbols(value).length > 0) return false
  for (const key of Object.keys(value)) {
    if (key.charCodeAt(0) === 36 || !isPlain((value as Record<string, unknown>)[key], depth - 1)) return false
  }
  return true
}

/** The same value as JSON with tags, or the reason why not. */
function tagged(value: unknown, path: string, parents: object[]): unknown {
  const no = (what: string): HoldfastError => refuse(`Cannot store ${what} at ${path}`, { path })
  const tag = (type: string, content?: unknown): object => ({ [TAG]: type, value: content })
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw no('a lone surrogate')
      return value
    case 'number':
      if (isPlain(value, 0)) return value
      return tag('number', value === 0 ? '-0' : String(value))
    case 'bigint':
      return tag('BigInt', String(value))
    case 'undefined':
      return tag('undefined')
    case 'function':
    case 'symbol':
      throw no(`a ${typeof value}`)
    default:
  }
  if (typeof value !== 'object' || value === null) return value
  if (parents.includes(value)) throw no('a cycle')
  if (parents.length >= MAX_DEPTH) throw no(`nesting deeper than ${MAX_DEPTH}`)
  const inside = (part: unknown, at: string): unknown => tagged(part, path + at, [...parents, value])
  const list = (items: Iterable<unknown>): unknown[] => Array.from(items, (item, i) => inside(item, `[${i}]`))

  const brand = brandOf(value)
  if (brand === 'Array') return list(value as unknown[])
  if (brand === 'Uint8Array') return tag(brand, toBase64(value as Uint8Array))
  if (brand === 'ArrayBuffer') return tag(brand, toBase64(new Uint8Array(value as ArrayBuffer)))
  if (brand === value.constructor?.name) {
    if (brand === 'Date') return tag(brand, (value as Date).toJSON())
    if (brand === 'Set') return tag(brand, list(value as Set<unknown>))
    if (brand === 'Map') return tag(brand, list(value as Map<unknown, unknown>))
  }
  if (!isRecord(value)) throw no('a class instance')
  if (Object.getOwnPropertySymbols(value).length > 0) throw no('a symbol key')
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      const at = /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
      if (!key.isWellFormed()) throw no('a key with a lone surrogate')
      return [RESERVED.test(key) ? `$${key}` : key, inside(part, at)]
    }),
  )
}

/** What it was made as, also in another realm. */
const brandOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

/** An object without a class: its prototype is none, or the `Object.prototype` of some realm. */
function isRecord(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}

/**
 * Reads a stored value back.
 *
 * @param stored - what {@link encode} made
 * @returns an equal value, made anew
 * @throws `SERIALIZATION`; `details.reason` is `unsupported_version` for a newer format, `payload` for anything else
 *   that cannot be read
 */
export function decode(stored: Value): unknown {
  if (typeof stored !== 'string') return stored
  try {
    const value: unknown = JSON.parse(stored)
    return stored.includes('"$') ? revived(value) : value
  } catch (cause) {
    throw cause instanceof HoldfastError ? cause : refuse('The stored value cannot be read', {}, cause)
  }
}

/** The value that tagged JSON stands for, in place where nothing is renamed. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const record = value as Record<string, unknown>
  let isRenamed = false
  for (const key of Object.keys(record)) {
    if (key.startsWith('$') && RESERVED.test(key)) {
      if (!key.startsWith('$$')) return untagged(key, record)
      isRenamed = true
    }
    record[key] = revived(record[key])
  }
  if (!isRenamed) return record
  return Object.fromEntries(
    Object.entries(record).map(([key, part]) => [RESERVED.test(key) ? key.slice(1) : key, part]),
  )
}

function untagged(tag: string, { [tag]: type, value }: Record<string, unknown>): unknown {
  if (tag !== TAG) {
    throw refuse(`The stored value has format ${tag.slice(1)}, this release reads 1`, { reason: 'unsupported_version' })
  }
  if (type === 'undefined') return undefined
  if (type === 'Map') return new Map(revived(value) as [unknown, unknown][])
  if (type === 'Set') return new Set(revived(value) as unknown[])
  // The only content that is no text: an invalid date has none.
  if (type === 'Date' && value === null) return new Date(Number.NaN)
  if (typeof value === 'string') {
    if (type === 'Date') return new Date(value)
    if (type === 'BigInt') return BigInt(value)
    if (type === 'number') return Number(value)
    if (type === 'Uint8Array') return fromBase64(value)
    if (type === 'ArrayBuffer') return fromBase64(value).buffer
  }
  throw refuse('The stored value has a tag that is not known')
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  // In pieces, because every byte is an argument.
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(binary)
}

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
