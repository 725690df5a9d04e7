/** Replies of Redis in Upstash's formats: JSON, JSON with Base64, or RESP. @module */

/** A reply: bulk strings as bytes, simple strings as text. */
export type Reply = null | number | string | Uint8Array | Error | readonly Reply[]

/**
 * Encodes a reply as JSON. With Base64 every string is encoded, except a result that is just `OK`.
 *
 * @param isWhole - whether it is the whole result, not an element of one
 */
export function toJson(reply: Reply, base64: boolean, isWhole = true): unknown {
  if (reply instanceof Error) return reply.message
  if (Array.isArray(reply)) return reply.map((item: Reply) => toJson(item, base64, false))
  if (typeof reply !== 'string' && !(reply instanceof Uint8Array)) return reply
  const bytes = Buffer.from(reply)
  const text = bytes.toString()
  return base64 && !(isWhole && text === 'OK') ? bytes.toString('base64') : text
}

/** Encodes a reply as RESP 2. */
export function toResp(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n')
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`)
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`)
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`)
  if (reply instanceof Uint8Array)
    return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')])
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(toResp)])
}
