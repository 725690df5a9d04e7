/**
 * Hides names as keyed hashes that holders of the key can reverse: a synthetic initialization vector, which is the
 * hash, followed by the name encrypted under it (the construction of RFC 5297, over HMAC-SHA-256 and AES-256-CTR).
 *
 * Both keys are derived from the given one by HKDF-SHA-256 without salt, for `holdfast names 1 hash` and `holdfast
 * names 1 encryption`. The input is one byte and the name in UTF-8: byte 0 and the id that an element of a key encodes,
 * or byte 1 and the element itself if it encodes none. The vector is the first 16 bytes of the hash. Vector and
 * encrypted name together are stored in base64 for URLs.
 *
 * @module
 */
import { fromBase64, toBase64 } from '../../core/base64.ts'
import { HoldfastError } from '../../core/errors.ts'
import { decodeId, encodeId } from '../../core/keys.ts'
import type { NameMapping } from './map-names.ts'

type Subtle = NonNullable<typeof crypto.subtle>

const VECTOR = 16
const KEY_BITS = 256
/** The most names remembered in each direction. */
const MAX_REMEMBERED = 10_000

const isId = (element: string): boolean => {
  try {
    return encodeId(decodeId(element), 'name') === element
  } catch {
    return false
  }
}

/** Remembers the results of a function, at most so many. */
function remembered(work: (text: string) => Promise<string>): (text: string) => Promise<string> {
  const known = new Map<string, Promise<string>>()
  return (text) => {
    let result = known.get(text)
    if (result === undefined) {
      if (known.size >= MAX_REMEMBERED) known.clear()
      result = work(text)
      known.set(text, result)
    }
    return result
  }
}

/**
 * Makes a mapping of names.
 *
 * @param subtle - the runtime's WebCrypto
 * @param key - at least 32 random bytes
 */
export function hiddenNames(subtle: Subtle, key: Uint8Array): NameMapping {
  let derived: Promise<Keys> | undefined
  const keys = (): Promise<Keys> => (derived ??= deriveKeys(subtle, key))

  const vectorOf = async (plain: Uint8Array): Promise<Uint8Array> =>
    new Uint8Array(await subtle.sign('HMAC', (await keys()).hash, plain)).slice(0, VECTOR)

  async function hide(element: string): Promise<string> {
    const hasId = isId(element)
    const name = new TextEncoder().encode(hasId ? decodeId(element) : element)
    const plain = new Uint8Array(1 + name.length)
    plain[0] = hasId ? 0 : 1
    plain.set(name, 1)
    const counter = await vectorOf(plain)
    const encrypted = await subtle.encrypt({ name: 'AES-CTR', counter, length: 64 }, (await keys()).encryption, plain)
    const bytes = new Uint8Array(VECTOR + plain.length)
    bytes.set(counter)
    bytes.set(new Uint8Array(encrypted), VECTOR)
    return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  }

  async function reveal(hidden: string): Promise<string> {
    const bytes = bytesOf(hidden)
    if (bytes.length <= VECTOR) throw refused()
    const counter = bytes.slice(0, VECTOR)
    const decrypted = await subtle.decrypt(
      { name: 'AES-CTR', counter, length: 64 },
      (await keys()).encryption,
      bytes.slice(VECTOR),
    )
    const plain = new Uint8Array(decrypted)
    const expected = await vectorOf(plain)
    if (expected.some((byte, i) => byte !== counter[i])) throw refused()
    const name = new TextDecoder('utf-8', { ignoreBOM: true }).decode(plain.subarray(1))
    return plain[0] === 0 ? encodeId(name, 'name') : name
  }

  // A short name becomes 24 characters. A name of 256 bytes becomes 364, but as an id it may take 512.
  return { overhead: OVERHEAD, hide: remembered(hide), reveal: remembered(reveal) }
}

/** For a key and its part, which have at most five ids: the most that hiding each can add. */
const OVERHEAD = 5 * 108

interface Keys {
  readonly hash: Awaited<ReturnType<Subtle['importKey']>>
  readonly encryption: Awaited<ReturnType<Subtle['importKey']>>
}

async function deriveKeys(subtle: Subtle, key: Uint8Array): Promise<Keys> {
  const base = await subtle.importKey('raw', key, 'HKDF', false, ['deriveBits'])
  const bits = (use: string) => {
    const info = new TextEncoder().encode(`holdfast names 1 ${use}`)
    return subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }, base, KEY_BITS)
  }
  const [forHash, forEncryption] = await Promise.all([bits('hash'), bits('encryption')])
  const [hash, encryption] = await Promise.all([
    subtle.importKey('raw', forHash, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
    subtle.importKey('raw', forEncryption, 'AES-CTR', false, ['encrypt', 'decrypt']),
  ])
  return { hash, encryption }
}

function bytesOf(hidden: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64(hidden.replaceAll('-', '+').replaceAll('_', '/'))
  } catch (cause) {
    throw refused(cause)
  }
}

const refused = (cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', 'A hidden name cannot be read: it was changed, or hidden under another key', {
    details: { reason: 'tampered' },
    cause,
  })
