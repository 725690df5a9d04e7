/**
 * Raw values, text or bytes. PostgreSQL refuses text with NUL and SQLite cuts it, so such text is stored as bytes: a
 * mark, `0`, and its UTF-8. Bytes that happen to begin with the mark are stored after the mark and `1`.
 *
 * @module
 */
import { shown } from '../../core/arguments.ts'
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
 * Makes a raw value storable. Bytes are copied, because the caller may change them before the batch is sent.
 *
 * @throws `SERIALIZATION` for text with a lone surrogate, and for anything but text and bytes
 */
export function pack(value: Value): Value {
  if (typeof value === 'string' && value.isWellFormed()) {
    return value.includes('\0') ? mark(0, new TextEncoder().encode(value)) : value
  }
  if (value instanceof Uint8Array) return value[0] === MARK ? mark(1, value) : new Uint8Array(value)
  throw new HoldfastError(
    'SERIALIZATION',
    `A raw value must be well-formed text or a Uint8Array, not ${typeof value === 'string' ? 'text with a lone surrogate' : shown(value)}`,
    {
      details: { reason: 'payload' },
    },
  )
}

/** Reverses {@link pack}. */
export function unpack(value: Value): Value {
  if (typeof value === 'string' || value[0] !== MARK) return value
  const content = new Uint8Array(value.subarray(2))
  return value[1] === 1 ? content : new TextDecoder('utf-8', { ignoreBOM: true }).decode(content)
}
