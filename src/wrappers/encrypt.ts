/**
 * Values that only holders of a key can read or change, for a driver whose backend is in other hands.
 *
 * A record is bytes: the format version, what kind of value it is, the id of the key, a nonce, and what AES-GCM made of
 * the value. All of it before the nonce is authenticated, and so are the part and the key where the record lies (of a
 * log the prefix, since numbers are assigned inside the commit).
 *
 * @module
 */
import type { Driver, Key, Op, Value } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { DIGITS, IDEMPOTENCY, SENT, requireId, utf8Bytes } from '../core/keys.ts'
import { hiddenNames } from '../core/hidden-names.ts'
import { mapNames } from '../core/map-names.ts'
import { mapValues } from '../core/map-values.ts'
import { requireGiven } from '../core/arguments.ts'

/** Options of {@link encrypt}. */
export interface EncryptOptions {
  /**
   * The keys by their ids (1 to 64 printable ASCII characters): 16 or 32 random bytes each, or a `CryptoKey` for AES-GCM
   * that may encrypt and decrypt. The id is stored with each value, so that old values stay readable while a new key is
   * in use.
   */
  readonly keys: Readonly<Record<string, Uint8Array | CryptoKeyLike>>
  /** The id of the key that new values are encrypted with. One key should encrypt at most 2^32 values. */
  readonly current: string
  /**
   * Whether the driver may keep the number of a log entry under this key, for `append … ref`. It writes such numbers
   * itself, in plain text, so a plain number is accepted there and nowhere else. By default what the stores use for it.
   */
  readonly refs?: (at: Key) => boolean
  /**
   * Hides names too, under this key of at least 32 random bytes, which has to stay the same for good: tenants, ids of runs
   * and steps, tags, names of values and messages and idempotency keys are stored as keyed hashes with the name encrypted
   * behind. Left out, they stay readable.
   */
  readonly names?: Uint8Array | undefined
  /** Makes so many random bytes, for nonces: never the same twice. `crypto.getRandomValues` by default. */
  readonly random?: (bytes: number) => Uint8Array
}

/** What is used of a `CryptoKey`. */
export interface CryptoKeyLike {
  readonly type: string
  readonly algorithm: { readonly name: string }
}

type Subtle = NonNullable<typeof crypto.subtle>
/** As each runtime declares it. */
type ImportedKey = Awaited<ReturnType<Subtle['importKey']>>

const VERSION = 1
/** Flags of the second byte. */
const IS_BYTES = 1
const IS_APPEND = 2
/** Version, flags, and the length of the key's id. */
const FIXED = 3
const NONCE = 12
const TAG = 16

const ID = /^[ -~]{1,64}$/
const REF = /^[1-9]\d{0,15}$/
/** What a log key ends with. */
const NUMBER = new RegExp(`\\d{${DIGITS}}$`)

/** A number by which the stores find an event or a message again. */
const isRef = ({ key }: Key): boolean => key.startsWith(IDEMPOTENCY) || key.startsWith(SENT)

/**
 * Makes a driver that stores its values encrypted with AES-GCM, by WebCrypto.
 *
 * What was tampered with, cut short, moved to another key or part, stored in plain text, or encrypted with a key that is
 * not among `keys` is refused with `SERIALIZATION`, never returned. What stays visible: how many entries there are and how
 * large, when they were written and expire, statuses, priorities and times in indexes, the numbers of logs and of
 * `append … ref`; and without the option `names` the ids in keys. Whoever can write to the backend can still delete
 * entries, bring back an older record of the same key, change the order of a log, and point a reference at another entry
 * of its log: only the values themselves are protected.
 *
 * With `names` the same id always looks the same, so it can be counted, but not read or guessed. Everything is still found
 * by its name, by status, by time and by number. The price: lists of runs, values, snapshots and steps of one moment come
 * in an order that tells nothing, though always the same; what asks for names by what they begin with (the `prefix` of
 * `keys` and `watch`) is refused with `UNSUPPORTED`; so are `backup`, `restore` and `copy`, which are made of the driver
 * underneath and so stay encrypted; and keys and parts grow, an id of few bytes to 24 characters.
 *
 * Put it above `retry`, so that a repeated request is the same byte for byte, and underneath `compress`. To rotate, hand
 * the new key to every process first, then make it `current`; the old one can go when all was written anew.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - the keys
 * @returns the driver; its values are smaller by 31 bytes and the longest id of a key
 * @throws `INVALID_ARGUMENT` for malformed keys, `UNSUPPORTED` where the runtime has no WebCrypto; reading throws
 *   `SERIALIZATION`, whose `details.reason` tells why
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { encrypt } from 'holdfast/encrypt'
 *
 * const keys = { '2026': crypto.getRandomValues(new Uint8Array(32)) }
 * const backend = memory()
 * const { state } = createHoldfast({ driver: encrypt(backend, { keys, current: '2026' }) })
 * await state.set('greeting', 'hello')
 * console.log(await state.get('greeting')) // hello
 * ```
 */
export function encrypt(driver: Driver, options: EncryptOptions): Driver {
  const { refs = isRef, random = (bytes) => crypto.getRandomValues(new Uint8Array(bytes)) } = options
  const { keys, current } = { ...requireGiven(options, 'options') }
  requireGiven(keys, 'keys')
  const { names } = options
  if (names !== undefined && !(names instanceof Uint8Array && names.length >= 32)) {
    throw invalid('names must be at least 32 bytes')
  }
  const subtle = webCrypto()
  for (const [id, key] of Object.entries(keys)) requireKey(id, key)
  if (!Object.hasOwn(keys, current)) throw invalid('current must name one of keys')

  const imported = new Map<string, Promise<ImportedKey>>()

  /** Imported when first needed: a factory does no work that can fail later. */
  function keyOf(id: string): Promise<ImportedKey> {
    let key = imported.get(id)
    if (key === undefined) {
      const given = keys[id]!
      key =
        given instanceof Uint8Array
          ? subtle.importKey('raw', given, 'AES-GCM', false, ['encrypt', 'decrypt'])
          : Promise.resolve(given as ImportedKey)
      imported.set(id, key)
    }
    return key
  }

  async function encode(value: Value, at: Key, isAppend: boolean): Promise<Uint8Array> {
    const isText = typeof value === 'string'
    const flags = (isText ? 0 : IS_BYTES) | (isAppend ? IS_APPEND : 0)
    const header = headerOf(flags, current)
    const iv = random(NONCE)
    const sealed = await subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData: boundTo(header, at) },
      await keyOf(current),
      isText ? new TextEncoder().encode(value) : value,
    )
    const record = new Uint8Array(header.length + NONCE + sealed.byteLength)
    record.set(header)
    record.set(iv, header.length)
    record.set(new Uint8Array(sealed), header.length + NONCE)
    return record
  }

  async function decode(record: Value, at: Key): Promise<Value> {
    if (typeof record === 'string') {
      if (REF.test(record) && refs(at)) return record
      throw refused('plaintext')
    }
    const header = record.subarray(0, FIXED + (record[2] ?? 0))
    if (record.length < header.length + NONCE + TAG) throw refused('truncated')
    const flags = record[1]!
    if (record[0] !== VERSION || flags > (IS_BYTES | IS_APPEND)) throw refused('unsupported_version')
    const id = new TextDecoder().decode(header.subarray(FIXED))
    if (!Object.hasOwn(keys, id)) throw refused('unknown_key')
    const isAppend = (flags & IS_APPEND) !== 0
    if (isAppend && !NUMBER.test(at.key)) throw refused('tampered')
    const home = isAppend ? { part: at.part, key: at.key.slice(0, -DIGITS) } : at
    const iv = record.subarray(header.length, header.length + NONCE)
    const bytes = await subtle
      .decrypt(
        { name: 'AES-GCM', iv, additionalData: boundTo(header, home) },
        await keyOf(id),
        record.subarray(header.length + NONCE),
      )
      .catch((cause: unknown) => {
        throw refused('tampered', cause)
      })
    if (flags & IS_BYTES) return new Uint8Array(bytes)
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  }

  /** Refused before it is written: it could not be read again. */
  function check(op: Op): void {
    if ('append' in op && op.ref !== undefined && !refs({ part: op.append.part, key: op.ref })) {
      throw invalid('ref must be a key that the option refs allows')
    }
  }

  const overhead = FIXED + NONCE + TAG + Math.max(...Object.keys(keys).map(utf8Bytes))
  const inner = names === undefined ? driver : mapNames(driver, hiddenNames(subtle, names))
  return mapValues(inner, { overhead, encode, decode, check })
}

/**
 * Makes a keyed hash for ids (HMAC-SHA-256), for programs whose run ids, tenants or names must not be read in a backend.
 *
 * The option `names` of {@link encrypt} hides all of them from the backend, and lists give them back. This is for one id
 * that not even the holders of those keys shall read, or that is hidden where values are not: hash it before it is handed
 * in, and lists give the hash.
 *
 * @param key - at least 16 random bytes, the same for good: another key makes other ids
 * @returns a function from text to 64 hexadecimal digits, the same for the same text
 * @throws `INVALID_ARGUMENT` for a malformed key, `UNSUPPORTED` where the runtime has no WebCrypto
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { idHash } from 'holdfast/encrypt'
 *
 * const hash = idHash(crypto.getRandomValues(new Uint8Array(32)))
 * const { state } = createHoldfast({ driver: memory() })
 * await state.set(await hash('ada@example.com'), 'hello')
 * console.log(await state.get(await hash('ada@example.com'))) // hello
 * ```
 */
export function idHash(key: Uint8Array): (id: string) => Promise<string> {
  if (!(key instanceof Uint8Array && key.length >= 16)) throw invalid('key must be at least 16 bytes')
  const subtle = webCrypto()
  let imported: Promise<ImportedKey> | undefined
  return async (id) => {
    requireId(id, 'id')
    imported ??= subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
    const hash = await subtle.sign('HMAC', await imported, new TextEncoder().encode(id))
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
}

function webCrypto(): Subtle {
  // Pages that came over plain HTTP have none.
  if (!crypto.subtle) throw new HoldfastError('UNSUPPORTED', 'This runtime has no WebCrypto here')
  return crypto.subtle
}

function requireKey(id: string, key: Uint8Array | CryptoKeyLike): void {
  if (!ID.test(id)) throw invalid('The id of a key must be 1 to 64 printable ASCII characters')
  const isKey =
    key instanceof Uint8Array
      ? key.length === 16 || key.length === 32
      : key?.type === 'secret' && key.algorithm?.name === 'AES-GCM'
  if (!isKey) throw invalid(`keys[${JSON.stringify(id)}] must be 16 or 32 bytes, or a CryptoKey for AES-GCM`)
}

function headerOf(flags: number, id: string): Uint8Array {
  const name = new TextEncoder().encode(id)
  const header = new Uint8Array(FIXED + name.length)
  header.set([VERSION, flags, name.length])
  header.set(name, FIXED)
  return header
}

/** What a record is bound to: its header, which tells its own length, and where it lies. No part holds a line feed. */
function boundTo(header: Uint8Array, { part, key }: Key): Uint8Array {
  const place = new TextEncoder().encode(`${part}\n${key}`)
  const bound = new Uint8Array(header.length + place.length)
  bound.set(header)
  bound.set(place, header.length)
  return bound
}

const refused = (reason: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', 'An encrypted value cannot be read', { details: { reason }, cause })
