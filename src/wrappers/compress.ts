/**
 * Smaller values, for a driver whose backend charges by the byte or limits them.
 *
 * @module
 */
import { requireInteger } from '../core/arguments.ts'
import type { Driver, Value } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { utf8Bytes } from '../core/keys.ts'
import { mapValues } from './shared/map-values.ts'

/** Options of {@link compress}. */
export interface CompressOptions {
  /** Values of fewer bytes than this stay as they are: from 0; 1024 by default. */
  readonly threshold?: number
}

/** The first byte of what this wrapper has changed: no UTF-8 holds it. */
const MARK = 0xf6
/** The second byte, format 1. */
const ESCAPED = 0
const TEXT = 1
const BYTES = 2
const HEADER = 2

/**
 * Makes a driver that stores large values compressed (deflate with a checksum, by `CompressionStream`).
 *
 * Text comes back as text and bytes as bytes. What is below the threshold, or would not become smaller, is stored as it
 * is, so values that were there before stay readable, and the other way round it can be taken away only after all was
 * written anew. The size of a value is limited before it is compressed. Put it above `encrypt`: what is encrypted cannot
 * be compressed. Answers are cut to the driver's `answerBytes` by what they hold when decompressed.
 *
 * A repeated request is the same underneath where the same implementation compresses it with the same threshold. Where a repeat comes through
 * another version of a runtime that compresses otherwise, it is refused with `CONFLICT`, and never executed twice.
 *
 * Do not compress secrets together with what a stranger may choose, where that stranger can see sizes.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - from which size on
 * @returns the driver; its values and requests may be smaller by two bytes per value
 * @throws `INVALID_ARGUMENT` for a malformed threshold, `UNSUPPORTED` where the runtime has no `CompressionStream`;
 *   reading throws `SERIALIZATION` for what is damaged
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { compress } from 'holdfast/compress'
 *
 * const { state } = createHoldfast({ driver: compress(memory(), { threshold: 512 }) })
 * await state.set('greeting', 'hello '.repeat(1000))
 * console.log((await state.get('greeting'))?.length) // 6000
 * ```
 */
export function compress(driver: Driver, { threshold = 1024 }: CompressOptions = {}): Driver {
  requireInteger(threshold, 'threshold')
  if (typeof CompressionStream === 'undefined') {
    throw new HoldfastError('UNSUPPORTED', 'This runtime has no CompressionStream')
  }
  const most = driver.capabilities.limits.valueBytes

  async function encode(value: Value): Promise<Value> {
    const isText = typeof value === 'string'
    if ((isText ? utf8Bytes(value) : value.length) >= threshold) {
      const bytes = isText ? new TextEncoder().encode(value) : value
      const smaller = await through(new CompressionStream('deflate'), bytes, bytes.length - HEADER)
      if (smaller !== undefined) return marked(isText ? TEXT : BYTES, smaller)
    }
    return isText || value[0] !== MARK ? value : marked(ESCAPED, value)
  }

  async function decode(value: Value): Promise<Value> {
    if (typeof value === 'string' || value[0] !== MARK) return value
    const [, kind] = value
    const content = value.subarray(HEADER)
    if (kind === ESCAPED) return new Uint8Array(content)
    if (kind !== TEXT && kind !== BYTES) throw unreadable('unsupported_version')
    // More than can have been stored is a bomb, not a value.
    const bytes = await through(new DecompressionStream('deflate'), content, most + 1).catch((cause: unknown) => {
      throw unreadable('payload', cause)
    })
    if (bytes === undefined) throw unreadable('payload')
    return kind === BYTES ? bytes : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  }

  return mapValues(driver, { overhead: HEADER, mayGrow: true, encode, decode })
}

const unreadable = (reason: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', 'A compressed value cannot be read', { details: { reason }, cause })

function marked(kind: number, content: Uint8Array): Uint8Array {
  const made = new Uint8Array(content.length + HEADER)
  made.set([MARK, kind])
  made.set(content, HEADER)
  return made
}

/** What comes out of a stream, or `undefined` as soon as that is not less than so many bytes. */
async function through(
  { readable, writable }: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  limit: number,
): Promise<Uint8Array | undefined> {
  const writer = writable.getWriter()
  // What fails here fails the reader, too, who tells.
  writer.write(bytes).catch(() => {})
  writer.close().catch(() => {})
  const reader = readable.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value!)
    size += next.value!.length
    if (size >= limit) {
      await reader.cancel()
      return undefined
    }
  }
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}
