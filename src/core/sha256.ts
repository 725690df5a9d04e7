/** SHA-256, by the runtime. @module */
import { HoldfastError } from './errors.ts'

/**
 * The hash of a text.
 *
 * @returns 64 hexadecimal digits
 * @throws `UNSUPPORTED` in pages that came over plain HTTP
 */
export async function sha256(text: string): Promise<string> {
  const { subtle } = crypto
  if (!subtle) throw new HoldfastError('UNSUPPORTED', 'Without HTTPS, pages of this browser cannot make hashes')
  const digest = await subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
