/** Bytes as text. @module */

/** Base64, padded. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  // In pieces, because every byte is an argument; of whole threes, so that nothing is padded in between.
  for (let i = 0; i < bytes.length; i += 6144) text += btoa(String.fromCharCode(...bytes.subarray(i, i + 6144)))
  return text
}

/** The bytes that {@link toBase64} made this of; throws for anything else. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  // What is no text has no `trim`.
  const binary = atob(text.trim())
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
