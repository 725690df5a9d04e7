/** SHA-256 from the runtime. @module */
import { HoldfastError } from './errors.ts'

/**
 * Hashes a text.
 *
 * @returns 64 hexadecimal digits
 * @throws `UNSUPPORTED` in pages served over plain HTTP
 */
export async function sha256(text: string): Promise<string> {
  const { subtle } = crypto
  if (!subtle) throw new HoldfastError('UNSUPPORTED', 'This page has no crypto.subtle; serve it over HTTPS')
  const digest = await subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
