/** Reads the body of an untrusted request. @module */
import { HoldfastError, invalid } from '../../core/errors.ts'

interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>
  cancel(): Promise<void>
}

/**
 * Reads a body, up to a limit.
 *
 * @param most - the most bytes of the body
 * @param timeout - the longest that it may take, in milliseconds
 * @returns the body; `undefined` if it came too slowly
 * @throws `PAYLOAD_TOO_LARGE` for a longer body, whose rest is not read; `INVALID_ARGUMENT` for one that breaks off
 */
export async function readBody(request: Request, most: number, timeout: number): Promise<Uint8Array | undefined> {
  const length = request.headers.get('content-length')
  if (Number(length) > most) throw tooLarge(most)
  let stop = (): void => {}
  let timer!: ReturnType<typeof setTimeout>
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined)
      stop()
    }, timeout)
  })
  try {
    // With a known length, servers have a faster way than a stream.
    if (length !== null) return await Promise.race([readWhole(request, most), late])
    const reader = request.body?.getReader()
    if (!reader) return new Uint8Array(0)
    // Ends a read that still waits for a chunk.
    stop = () => void reader.cancel().catch(() => {})
    return await Promise.race([readChunks(reader, most, stop), late])
  } finally {
    clearTimeout(timer)
  }
}

async function readWhole(request: Request, most: number): Promise<Uint8Array> {
  const body = await request.arrayBuffer().catch(brokenOff)
  // Within a process, only the caller vouches for the declared length.
  if (body.byteLength > most) throw tooLarge(most)
  return new Uint8Array(body)
}

async function readChunks(reader: Reader, most: number, stop: () => void): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff)
    if (done) break
    length += value!.length
    if (length > most) {
      stop()
      throw tooLarge(most)
    }
    chunks.push(value!)
  }
  if (chunks.length === 1) return chunks[0]!
  const body = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.length
  }
  return body
}

const tooLarge = (most: number): HoldfastError =>
  new HoldfastError('PAYLOAD_TOO_LARGE', `The body must have at most ${most} bytes`, {
    details: { limit: 'bodyBytes', most },
  })

function brokenOff(): never {
  throw invalid('The body ended before its declared length, or could not be read')
}
