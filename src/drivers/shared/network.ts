/** What errors of the network say about a request. @module */

/** No connection came about: nobody listens, the name is unknown, or there was no answer to the first packet. */
const NOT_CONNECTED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** Clients wrap what they were told a few times. */
const DEPTH = 5

/** Whether an error says that its request never left, so that it cannot have taken effect. */
export function wasNeverSent(error: unknown): boolean {
  let inner = error as { code?: unknown; cause?: unknown; sourceError?: unknown } | null | undefined
  for (let i = 0; i < DEPTH && Object(inner) === inner; i++) {
    if (NOT_CONNECTED.has(String(inner!.code))) return true
    inner = (inner!.cause ?? inner!.sourceError) as typeof inner
  }
  return false
}
