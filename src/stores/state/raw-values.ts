/**
 * Raw values, as callers hand them in. Text with NUL is refused by PostgreSQL and cut by SQLite, so it travels as bytes:
 * a mark, `0`, and its UTF-8. Bytes that happen to begin with the mark travel behind the mark and `1`.
 *
 * @module
 */
import type { Value } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'

/** No UTF-8 holds this byte, and no common file format begins with it. */
const MARK = 0xf5

const mark = (kind: number, bytes: Uint8Array): Uint8Array => {
  const marked = new Uint8Array(bytes.length + 2)
  marked.set([MARK, kind])
  marked.set(bytes, 2)
  return marked
}

/**
 * Makes a raw value storable. Bytes are copied: the caller may go on using theirs before the batch has left.
 *
 * @throws `SERIALIZATION` for text with a lone surrogate, and for anything but text and bytes
 */
export function pack(value: Value): Value {
  if (typeof value === 'string' && value.isWellFormed()) {
    return value.includes('\0') ? mark(0, new TextEncoder().encode(value)) : value
  }
  if (value instanceof Uint8Array) return value[0] === MARK ? mark(1, value) : new Uint8Array(value)
  throw new HoldfastError('SERIALIZATION', 'A raw value must be well-formed text or a Uint8Array', {
    details: { reason: 'payload' },
  })
}

/** The raw value that {@link pack} made this of. */
export function unpack(value: Value): Value {
  if (typeof value === 'string' || value[0] !== MARK) return value
  const content = new Uint8Array(value.subarray(2))
  return value[1] === 1 ? content : new TextDecoder('utf-8', { ignoreBOM: true }).decode(content)
}
