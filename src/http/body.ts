/** Reads the body of a request that anybody may have sent. @module */
import { HoldfastError, invalid } from '../core/errors.ts'

/**
 * Reads a body, and no more of it than is allowed for.
 *
 * @param most - its longest, in bytes
 * @param timeout - the longest it may take, in milliseconds
 * @returns the body, or `undefined` for one that came too slowly; the rest of it is not read
 * @throws `PAYLOAD_TOO_LARGE` for a longer one, whose rest is not read, `INVALID_ARGUMENT` for one that breaks off
 */
export async function readBody(request: Request, most: number, timeout: number): Promise<Uint8Array | undefined> {
  const tooLarge = (): HoldfastError =>
    new HoldfastError('PAYLOAD_TOO_LARGE', `The body must have at most ${most} bytes`, {
      details: { limit: 'bodyBytes', most },
    })
  if (Number(request.headers.get('content-length')) > most) throw tooLarge()
  const reader = request.body?.getReader()
  if (!reader) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let length = 0
  let isLate = false
  // What still waits for a chunk is told that there is none.
  const stop = (): void => void reader.cancel().catch(() => {})
  const timer = setTimeout(() => {
    isLate = true
    stop()
  }, timeout)
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw invalid('The body must come whole')
      })
      if (isLate) return undefined
      if (done) break
      length += value!.length
      if (length > most) {
        stop()
        throw tooLarge()
      }
      chunks.push(value!)
    }
  } finally {
    clearTimeout(timer)
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
