/** Base64. @module */

/** Encodes bytes as padded Base64. */
export function toBase64(bytes: Uint8Array): string {
  let text = ''
  // In chunks, because every byte becomes an argument. Chunks are multiples of three bytes, so only the end is padded.
  for (let i = 0; i < bytes.length; i += 6144) text += btoa(String.fromCharCode(...bytes.subarray(i, i + 6144)))
  return text
}

/** Decodes the result of {@link toBase64}. @throws an `Error` for anything else */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  // A value that is not text has no `trim`, so this throws.
  const binary = atob(text.trim())
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
