/**
 * Compresses values, for a backend that charges by the byte or limits values.
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
  /** Values with fewer bytes than this are not compressed; from 0; 1024 by default. */
  readonly threshold?: number
}

/** The first byte of a value that this wrapper has changed. It never occurs in UTF-8. */
const MARK = 0xf6
/** The second byte, format 1. */
const ESCAPED = 0
const TEXT = 1
const BYTES = 2
const HEADER = 2

/**
 * Makes a driver that compresses large values (deflate with a checksum, through `CompressionStream`).
 *
 * Text is returned as text and bytes as bytes. A value below the threshold, or one that would not become smaller, is
 * stored as it is. So values stored before the wrapper was added stay readable, but it can be removed only after all
 * values were rewritten. The limit for a value applies before compression. Answers are cut to the driver's
 * `answerBytes` by their decompressed size. Put this wrapper around `encrypt`: encrypted data cannot be compressed.
 *
 * A repeated request is stored equal if the same implementation compresses it with the same threshold. A repeat from
 * another version of a runtime, which may compress differently, is refused with `CONFLICT` and never executed twice.
 *
 * Do not compress secrets together with data that a stranger chooses, if that stranger can see sizes.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param options - the threshold
 * @returns the driver; the limits for values and requests are smaller by two bytes per value
 * @throws `INVALID_ARGUMENT` for a malformed threshold; `UNSUPPORTED` if the runtime has no `CompressionStream`. Reads
 *   throw `SERIALIZATION` for damaged values
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
    // More than can have been stored is a decompression bomb.
    const bytes = await through(new DecompressionStream('deflate'), content, most + 1).catch((cause: unknown) => {
      throw unreadable('payload', cause)
    })
    if (bytes === undefined) throw unreadable('payload')
    return kind === BYTES ? bytes : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  }

  return mapValues(driver, { overhead: HEADER, mayGrow: true, encode, decode })
}

const unreadable = (reason: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', `A compressed value cannot be read: ${reason}`, { details: { reason }, cause })

function marked(kind: number, content: Uint8Array): Uint8Array {
  const made = new Uint8Array(content.length + HEADER)
  made.set([MARK, kind])
  made.set(content, HEADER)
  return made
}

/** Collects the output of a stream; `undefined` as soon as it reaches so many bytes. */
async function through(
  { readable, writable }: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  limit: number,
): Promise<Uint8Array | undefined> {
  const writer = writable.getWriter()
  // An error here also fails the reader, which reports it.
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
