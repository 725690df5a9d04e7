/**
 * Structured values as stored text or bytes, format version 1.
 *
 * What JSON can say is stored as just that. What it cannot is an object whose key is `$` and the format version:
 * `{"$1":"Date","value":"2026-01-01T00:00:00.000Z"}`. A key of the caller's that looks like it gets one more `$`. Bytes
 * by themselves stay bytes.
 *
 * @module
 */
import { fromBase64, toBase64 } from './base64.ts'
import type { Value } from './driver.ts'
import { HoldfastError } from './errors.ts'

const TAG = '$1'
/** Keys that are tags, of this or another version, or escaped keys of the caller. */
const RESERVED = /^\$+\d+$/
/** Far beyond what documents need, and far from the end of any runtime's stack. */
const MAX_DEPTH = 500

/** How a type that JSON lacks is written, and read from what may be malformed: then it throws. */
type Form = readonly [write: (value: never) => unknown, read: (content: never) => unknown]

/** A form with a single text for every value: no hexadecimal numbers, no dates in words. */
const exact = <T>(write: (value: T) => unknown, read: (content: string) => T): Form => [
  write,
  (content: string) => {
    const value = read(content)
    if (write(value) === content) return value
    throw new TypeError('Malformed content')
  },
]

/** By what `typeof` or else the brand says. Methods called like these throw for what only claims the brand. */
const FORMS: Record<string, Form> = {
  undefined: [() => undefined, () => undefined],
  number: exact((value: number) => (value === 0 ? '-0' : `${value}`), Number),
  BigInt: exact(String, BigInt),
  // An invalid date has no text, but null.
  Date: exact(
    (value: Date) => new Date(Date.prototype.getTime.call(value)).toJSON(),
    (content) => new Date(content ?? Number.NaN),
  ),
  Map: [
    (value: Map<unknown, unknown>) => [...Map.prototype.entries.call(value)],
    (content: [unknown, unknown][]) => {
      if (content.every((entry) => entry.length === 2)) return new Map(revived(content) as typeof content)
      throw new TypeError('Malformed content')
    },
  ],
  Set: [
    (value: Set<unknown>) => [...Set.prototype.values.call(value)],
    (content: unknown[]) => new Set(content.map(revived)),
  ],
  Uint8Array: [toBase64, fromBase64],
  ArrayBuffer: [
    (value: ArrayBuffer) => toBase64(new Uint8Array(new DataView(value).buffer)),
    (content: string) => fromBase64(content).buffer,
  ],
}

const refuse = (message: string, details?: Record<string, unknown>, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', message, { details: { reason: 'payload', ...details }, cause })

/**
 * Encodes a structured value: JSON, and besides Date, BigInt, Map, Set, undefined, NaN, infinities, -0, Uint8Array and
 * ArrayBuffer anywhere in it. The value is neither changed nor kept, but bytes by themselves are returned as they are.
 *
 * @param value - holes in arrays count as undefined; properties that are not enumerable, and those of an array besides
 *   its items, are left out; an object that is there twice is stored twice
 * @returns bytes for a Uint8Array by itself, text for anything else
 * @throws `SERIALIZATION` for functions, symbols, class instances, cycles, lone surrogates, getters that throw and
 *   nesting deeper than 500; `details.path` tells where
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 *
 * const { state } = createHoldfast({ driver: memory() })
 * await state.setJson('seen', { at: new Date(0), by: new Set(['ada']) })
 * console.log(await state.get('seen')) // {"at":{"$1":"Date","value":"1970-01-01T00:00:00.000Z"},"by":{"$1":"Set","value":["ada"]}}
 * ```
 */
export function encode(value: unknown): Value {
  if (ArrayBuffer.isView(value) && brandOf(value) === 'Uint8Array') return value as Uint8Array
  try {
    if (isPlain(value, MAX_DEPTH)) {
      const text = JSON.stringify(value)
      // How a lone surrogate is written; or a backslash in a string, which the second look tells apart.
      if (!text.includes('\\ud')) return text
    }
  } catch {
    // The second look meets it again, and knows where.
  }
  return taggedText(value)
}

/** Whether JSON says all of it. Deeper than it looks, it answers no, which is how it ends on a cycle. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return value === 0 ? 1 / value > 0 : Number.isFinite(value)
  // One that is not enumerable would be called all the same.
  if (typeof value !== 'object' || depth === 0 || 'toJSON' in value) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isPlain(value[i], depth - 1)) return false
    return prototype === Array.prototype
  }
  if (prototype !== Object.prototype || Object.getOwnPropertySymbols(value).length > 0) return false
  // What others have added to the prototype is looked at too, which is faster than asking whose a key is.
  for (const key in value) {
    if ((key[0] === '$' && RESERVED.test(key)) || !isPlain((value as Record<string, unknown>)[key], depth - 1)) {
      return false
    }
  }
  return true
}

/** The same value as JSON with tags, or the reason why not. */
function taggedText(root: unknown): string {
  // Both are left standing by a throw, so that the way to what threw is known.
  const path: (string | number)[] = []
  const parents: unknown[] = []
  let refusal: HoldfastError | undefined

  const no = (what: string, cause?: unknown): HoldfastError => {
    const at = path.reduce<string>(
      (at, key) =>
        at + (typeof key === 'number' ? `[${key}]` : /^\w+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`),
      '$',
    )
    return (refusal = refuse(`Cannot store ${what} at ${at}`, { path: at }, cause))
  }
  const inside = (part: () => unknown, key: string | number): unknown => {
    path.push(key)
    const made = walk(part())
    path.pop()
    return made
  }
  const list = (items: readonly unknown[]): unknown[] => Array.from(items, (item, i) => inside(() => item, i))
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string' && !value.isWellFormed()) throw no('a lone surrogate')
    if (isPlain(value, 0)) return value
    if (parents.includes(value)) throw no('a cycle')
    if (parents.length === MAX_DEPTH) throw no(`nesting deeper than ${MAX_DEPTH}`)
    parents.push(value)
    const made = tagged(value)
    parents.pop()
    return made
  }
  const tagged = (value: unknown): unknown => {
    const isObject = typeof value === 'object'
    if (!isObject || !isRecord(value)) {
      const kind = isObject ? brandOf(value) : typeof value === 'bigint' ? 'BigInt' : typeof value
      // The built-in type itself, not a class that extends it, nor a box: right below `Object.prototype`. A Buffer is bytes.
      const isBuiltIn =
        !isObject ||
        (kind === 'Uint8Array'
          ? ArrayBuffer.isView(value)
          : kind !== 'BigInt' && isRecord(Object.getPrototypeOf(value)))
      if (isBuiltIn && Array.isArray(value)) return list(value)
      if (!isBuiltIn || !Object.hasOwn(FORMS, kind)) throw no(isObject ? 'a class instance' : `a ${kind}`)
      const content = FORMS[kind]![0](value as never)
      return { [TAG]: kind, value: Array.isArray(content) ? list(content) : content }
    }
    // Without a prototype, `__proto__` is a key like any other.
    const made = Object.create(null) as Record<string, unknown>
    for (const key of Object.keys(value!)) {
      if (!key.isWellFormed()) throw no('a key with a lone surrogate')
      made[RESERVED.test(key) ? `$${key}` : key] = inside(() => (value as Record<string, unknown>)[key], key)
    }
    // The copy has only what is enumerable.
    if (Object.getOwnPropertySymbols({ ...value }).length > 0) throw no('a symbol key')
    return made
  }

  try {
    return JSON.stringify(walk(root))
  } catch (cause) {
    throw cause === refusal ? cause : no('a value that cannot be read', cause)
  }
}

/** What it was made as, also in another realm. */
const brandOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

/** Whether it has no class: below it is nothing, or the `Object.prototype` of some realm. True of that itself, too. */
function isRecord(value: unknown): boolean {
  const prototype: unknown = value && Object.getPrototypeOf(value)
  return !prototype || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}

/**
 * Reads a stored value back.
 *
 * @param stored - what {@link encode} made; of text that something else wrote, a tag spelled with escapes may be read as
 *   plain JSON
 * @returns an equal value, made anew, but bytes by themselves as they are
 * @throws `SERIALIZATION`; `details.reason` is `unsupported_version` for a newer format, `payload` for anything else
 *   that cannot be read
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 *
 * const { state } = createHoldfast({ driver: memory() })
 * await state.set('count', '{"$1":"BigInt","value":"123"}')
 * console.log(await state.getJson('count')) // 123n
 * ```
 */
export function decode(stored: Value): unknown {
  if (typeof stored !== 'string') return stored
  try {
    const value: unknown = JSON.parse(stored)
    // The first is much cheaper, and mostly enough.
    return stored.includes('$') && stored.includes('"$') ? revived(value) : value
  } catch (cause) {
    throw cause instanceof HoldfastError ? cause : refuse('The stored value cannot be read', undefined, cause)
  }
}

/** The value that tagged JSON stands for, in place where nothing is renamed. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const record = value as Record<string, unknown>
  const keys = Object.keys(record)
  const reserved = keys.filter((key) => key[0] === '$' && RESERVED.test(key))
  const tag = reserved.find((key) => key[1] !== '$')
  // Before anything inside is revived: a tag does that itself, and once.
  if (tag) {
    if (tag !== TAG) {
      throw refuse(`The stored value has format ${tag.slice(1)}, this release reads 1`, {
        reason: 'unsupported_version',
      })
    }
    const type = record[TAG]
    if (typeof type === 'string' && Object.hasOwn(FORMS, type)) return FORMS[type]![1](record['value'] as never)
    throw refuse('The stored value has a tag that is not known')
  }
  // An own `__proto__`, as the parser makes it, is written like any other.
  for (const key of keys) record[key] = revived(record[key])
  return reserved.length > 0
    ? Object.fromEntries(keys.map((key) => [RESERVED.test(key) ? key.slice(1) : key, record[key]]))
    : record
}
