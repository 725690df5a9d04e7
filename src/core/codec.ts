/**
 * Structured values as stored text or bytes, format version 1.
 *
 * A value that JSON can express is stored as plain JSON. Other values are stored as objects whose key is `$` and the
 * format version: `{"$1":"Date","value":"2026-01-01T00:00:00.000Z"}`. If a key of the caller looks like such a tag, one
 * more `$` is put in front of it. A Uint8Array that is the whole value is stored as bytes.
 *
 * @module
 */
import { fromBase64, toBase64 } from './base64.ts'
import type { Value } from './driver.ts'
import { HoldfastError } from './errors.ts'

const TAG = '$1'
/** Matches keys that are tags of any format version, and escaped keys of the caller. */
const RESERVED = /^\$+\d+$/
/** Far deeper than documents need, and far less than any runtime's stack allows. */
const MAX_DEPTH = 500

/** How to write and read a type that JSON lacks. Reading throws for malformed content. */
type Form = readonly [write: (value: never) => unknown, read: (content: never) => unknown]

/** A form that accepts exactly one text per value, so no hexadecimal numbers and no dates in words. */
const exact = <T>(write: (value: T) => unknown, read: (content: string) => T): Form => [
  write,
  (content: string) => {
    const value = read(content)
    if (write(value) === content) return value
    throw new TypeError('Malformed content')
  },
]

/**
 * By `typeof`, or by brand for objects. Calling the built-in methods this way throws for objects that only claim a
 * brand.
 */
const FORMS: Record<string, Form> = {
  undefined: [() => undefined, () => undefined],
  number: exact((value: number) => (value === 0 ? '-0' : `${value}`), Number),
  BigInt: exact(String, BigInt),
  // An invalid date is stored as null.
  Date: exact(
    (value: Date) => new Date(Date.prototype.getTime.call(value)).toJSON(),
    (content) => new Date(content ?? Number.NaN),
  ),
  Map: [
    (value: Map<unknown, unknown>) => [...Map.prototype.entries.call(value)],
    (content: [unknown, unknown][]) => {
      if (content.every((entry) => entry.length === 2)) return new Map(decodeTagged(content) as typeof content)
      throw new TypeError('Malformed content')
    },
  ],
  Set: [
    (value: Set<unknown>) => [...Set.prototype.values.call(value)],
    (content: unknown[]) => new Set(content.map(decodeTagged)),
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
 * Encodes a structured value: JSON, plus Date, BigInt, Map, Set, undefined, NaN, infinities, -0, Uint8Array and
 * ArrayBuffer at any depth. The value is neither changed nor kept. A Uint8Array that is the whole value is returned as
 * it is.
 *
 * @param value - holes in arrays count as undefined; properties that are not enumerable, and properties of an array
 *   other than its items, are left out; an object that occurs twice is stored twice
 * @returns bytes for a Uint8Array, text for anything else
 * @throws `SERIALIZATION` for functions, symbols, class instances, cycles, lone surrogates, getters that throw and
 *   nesting deeper than 500; `details.path` names the place
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
      // JSON writes a lone surrogate as `\ud…`. A backslash in a string can look the same; the slow path tells them
      // apart.
      if (!text.includes('\\ud')) return text
    }
  } catch {
    // The slow path meets the same error and knows its place.
  }
  return taggedText(value)
}

/** Whether plain JSON can express the value. Returns false beyond `depth`, so it ends on a cycle. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return value === 0 ? 1 / value > 0 : Number.isFinite(value)
  // `in`, because JSON.stringify also calls a `toJSON` that is not enumerable.
  if (typeof value !== 'object' || depth === 0 || 'toJSON' in value) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isPlain(value[i], depth - 1)) return false
    return prototype === Array.prototype
  }
  if (prototype !== Object.prototype || Object.getOwnPropertySymbols(value).length > 0) return false
  // This also visits keys that others added to the prototype, but is faster than asking for own keys.
  for (const key in value) {
    if ((key[0] === '$' && RESERVED.test(key)) || !isPlain((value as Record<string, unknown>)[key], depth - 1)) {
      return false
    }
  }
  return true
}

/** Encodes the value as JSON with tags. @throws `SERIALIZATION` if that is not possible */
function taggedText(root: unknown): string {
  // A throw leaves both as they are, so the path to the failing value is known.
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
      // Accepts only the built-in type itself: no subclass and no wrapper object. A Buffer counts as bytes.
      const isBuiltIn =
        !isObject ||
        (kind === 'Uint8Array'
          ? ArrayBuffer.isView(value)
          : kind !== 'BigInt' && isRecord(Object.getPrototypeOf(value)))
      if (isBuiltIn && Array.isArray(value)) return list(value)
      if (!isBuiltIn || !Object.hasOwn(FORMS, kind)) throw no(isObject ? instanceOf(value) : `a ${kind}`)
      const content = FORMS[kind]![0](value as never)
      return { [TAG]: kind, value: Array.isArray(content) ? list(content) : content }
    }
    // Without a prototype, `__proto__` is an ordinary key.
    const made = Object.create(null) as Record<string, unknown>
    for (const key of Object.keys(value!)) {
      if (!key.isWellFormed()) throw no('a key with a lone surrogate')
      made[RESERVED.test(key) ? `$${key}` : key] = inside(() => (value as Record<string, unknown>)[key], key)
    }
    // The spread copies only enumerable symbols.
    if (Object.getOwnPropertySymbols({ ...value }).length > 0) throw no('a symbol key')
    return made
  }

  try {
    return JSON.stringify(walk(root))
  } catch (cause) {
    throw cause === refusal ? cause : no('a value that cannot be read', cause)
  }
}

/** Names the class of an object. */
function instanceOf(value: unknown): string {
  const name = (value as Partial<object>).constructor?.name
  return name && name !== 'Object' ? `an instance of ${name}` : 'a class instance'
}

/** The value's built-in type, also for objects of another realm. */
const brandOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

/**
 * Whether an object has no class: its prototype is null or the `Object.prototype` of any realm. True for
 * `Object.prototype` itself.
 */
function isRecord(value: unknown): boolean {
  const prototype: unknown = value && Object.getPrototypeOf(value)
  return !prototype || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}

/**
 * Decodes a stored value.
 *
 * @param stored - the result of {@link encode}; in text from other sources, a tag spelled with escapes may be read as
 *   plain JSON
 * @returns a new, equal value; bytes are returned as they are
 * @throws `SERIALIZATION` if the value cannot be read; `details.reason` is `unsupported_version` for a newer format,
 *   otherwise `payload`
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
    // The first test is much cheaper, and mostly enough.
    return stored.includes('$') && stored.includes('"$') ? decodeTagged(value) : value
  } catch (cause) {
    throw cause instanceof HoldfastError
      ? cause
      : refuse('The stored value is not readable JSON of this format', undefined, cause)
  }
}

/** Decodes tagged JSON, in place unless keys are renamed. */
function decodeTagged(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const record = value as Record<string, unknown>
  const keys = Object.keys(record)
  const reserved = keys.filter((key) => key[0] === '$' && RESERVED.test(key))
  const tag = reserved.find((key) => key[1] !== '$')
  // Before the members are decoded: the tag's form decodes them itself.
  if (tag) {
    if (tag !== TAG) {
      throw refuse(`The stored value has format ${tag.slice(1)}; this release reads only format 1`, {
        reason: 'unsupported_version',
      })
    }
    const type = record[TAG]
    if (typeof type === 'string' && Object.hasOwn(FORMS, type)) return FORMS[type]![1](record['value'] as never)
    throw refuse('The stored value has an unknown type tag')
  }
  // JSON.parse makes `__proto__` an own key, so assigning to it is safe.
  for (const key of keys) record[key] = decodeTagged(record[key])
  return reserved.length > 0
    ? Object.fromEntries(keys.map((key) => [RESERVED.test(key) ? key.slice(1) : key, record[key]]))
    : record
}

/** A deep copy of a value, as storage would return it. @throws `SERIALIZATION` for a value that cannot be stored */
export function copyOf(value: unknown): unknown {
  const stored = encode(value)
  // Bytes are stored as they are.
  return typeof stored === 'string' ? decode(stored) : Uint8Array.from(stored)
}

/** Whether two stored values are equal. */
export const isSameValue = (a: Value, b: Value): boolean =>
  typeof a === 'string' || typeof b === 'string'
    ? a === b
    : a.length === b.length && a.every((byte, i) => byte === b[i])
