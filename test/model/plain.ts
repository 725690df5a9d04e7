/** Answers in a form that can be compared and shown. */

/** A copy in which bytes are objects of their own kind, so that no subclass and no shared buffer is equal to text. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Array.from(value).join() }
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return { map: plain([...value]) }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

/** A copy that shares no bytes. */
export const copied = <T>(value: T): T => structuredClone(value)

/** Overwrites all bytes in it: whoever kept them instead of a copy will answer wrongly. */
export function scramble(value: unknown): void {
  if (value instanceof Uint8Array) value.fill(0xee)
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(scramble)
}
