/**
 * The few assertions that the cases need. They have no dependencies, so that the suite runs wherever the package does.
 *
 * @module
 */
import type { ErrorCode, HoldfastError } from '../core/errors.ts'

/** The error of a failed assertion. Test runners show `actual` and `expected` next to each other. */
class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly actual: unknown
  readonly expected: unknown

  constructor(message: string, actual?: unknown, expected?: unknown) {
    super(message)
    this.actual = actual
    this.expected = expected
  }
}

/**
 * Asserts that a condition is true.
 *
 * @throws an `AssertionError` with the message
 */
export function ok(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message, condition, true)
}

/**
 * Asserts that two values are equal: numbers as by `Object.is`, bytes by content, members of objects, maps and sets by
 * value.
 *
 * @throws an `AssertionError` that shows both sides
 */
export function equal(actual: unknown, expected: unknown, message = 'Not equal'): void {
  if (isEqual(actual, expected)) return
  throw new AssertionError(`${message}: received ${show(actual)}, expected ${show(expected)}`, actual, expected)
}

/**
 * Asserts that a promise is rejected with a `HoldfastError` of this code. Messages are never compared.
 *
 * @returns the error
 */
export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<HoldfastError> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    const found = (error as Partial<HoldfastError> | null)?.code
    if (found === code) return error as HoldfastError
    throw new AssertionError(`Rejected with ${found ?? String(error)}, expected ${code}`, error, code)
  }
  throw new AssertionError(`Resolved to ${show(value)}, expected a rejection with ${code}`, value, code)
}

type Pair = readonly [unknown, unknown]

/**
 * Whether two values are equal, as {@link equal} requires.
 *
 * @param above - the pairs that contain these two; none by default
 */
export function isEqual(a: unknown, b: unknown, above: readonly Pair[] = []): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  // A cycle is equal if everything else is.
  if (above.some(([x, y]) => x === a && y === b)) return true
  const inside: Pair[] = [...above, [a, b]]
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b)) return areEqualBytes(a, b)
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && Object.is(a.getTime(), b.getTime())
  }
  if (a instanceof Map || b instanceof Map) {
    return a instanceof Map && b instanceof Map && areEqualMembers([...a], [...b], inside)
  }
  if (a instanceof Set || b instanceof Set) {
    return a instanceof Set && b instanceof Set && areEqualMembers([...a], [...b], inside)
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    (!Array.isArray(a) || a.length === (b as unknown[]).length) &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual(member(a, key), member(b, key), inside))
  )
}

const member = (object: object, key: string): unknown => (object as Record<string, unknown>)[key]

/** Equality without order: every member of one side has its own counterpart on the other. */
function areEqualMembers(a: readonly unknown[], b: readonly unknown[], inside: readonly Pair[]): boolean {
  const left = [...b]
  return (
    a.length === b.length &&
    a.every((x) => {
      const at = left.findIndex((y) => isEqual(x, y, inside))
      if (at >= 0) left.splice(at, 1)
      return at >= 0
    })
  )
}

/** Instances of subclasses of `Uint8Array`, which some hosts return, count as `Uint8Array`. */
function areEqualBytes(a: object, b: object): boolean {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b) || a instanceof Uint8Array !== b instanceof Uint8Array) {
    return false
  }
  const [x, y] = [bytesOf(a), bytesOf(b)]
  return x.length === y.length && x.every((byte, i) => byte === y[i])
}

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

const MOST_SHOWN = 400

/** A short text of a value, for messages. */
function show(value: unknown): string {
  const above: unknown[] = []
  const text = JSON.stringify(value, function (this: unknown, _key, inner: unknown) {
    while (above.length > 0 && above.at(-1) !== this) above.pop()
    if (typeof inner === 'bigint') return `${inner}n`
    if (typeof inner === 'number' && !Number.isFinite(inner)) return String(inner)
    if (Object.is(inner, -0)) return '-0'
    if (typeof inner !== 'object' || inner === null) return inner
    if (inner instanceof Uint8Array) return `Uint8Array(${inner.length}) [${inner.subarray(0, 16).join(' ')}]`
    if (above.includes(inner)) return '(cycle)'
    above.push(inner)
    if (inner instanceof Map || inner instanceof Set) return [...inner]
    return inner
  })
  // JSON cannot write it: undefined, a function, a symbol.
  const shown = text ?? String(value)
  return shown.length > MOST_SHOWN ? `${shown.slice(0, MOST_SHOWN)}…` : shown
}
