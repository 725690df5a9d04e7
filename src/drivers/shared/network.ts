/** Network errors: did the request leave? @module */

/** No connection was made: nobody listens, the name is unknown, or the first packet got no answer. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** How many wrapped errors to look through. */
const DEPTH = 5

/** Whether an error says that its request was never sent, and so cannot have taken effect. */
export function wasNeverSent(error: unknown): boolean {
  let inner = error as { code?: unknown; cause?: unknown; sourceError?: unknown } | null | undefined
  for (let i = 0; i < DEPTH && Object(inner) === inner; i++) {
    if (NOT_CONNECTED.has(String(inner!.code))) return true
    inner = (inner!.cause ?? inner!.sourceError) as typeof inner
  }
  return false
}
