/**
 * Encrypts values, so that only holders of a key can read or change them, for a backend that others operate.
 *
 * A record is bytes: the format version, the kind of value, the id of the key, a nonce, and the value under AES-GCM.
 * Everything before the nonce is authenticated, and so is the place of the record: its part and key, with the prefix of
 * a view. For a log, the key is the prefix of its keys, because numbers are assigned inside the commit.
 *
 * **Nonces** of format 2 are synthetic, so that a repeated request is equal byte for byte in every process. A nonce is
 * the first 96 bits of an HMAC-SHA-256 over the bytes before it, `JSON.stringify([part, key, commit id, index of the
 * op])` in UTF-8, and the value. Two different inputs never give the same bytes, because the first two pieces are
 * self-delimiting. The key of the hash is the first 32 bytes of AES-GCM over 32 zero bytes, under the encryption key
 * and the nonce 0. So it can be made from a key that cannot be exported. RFC 5297 and RFC 8452 build on the same idea,
 * a nonce that depends on everything that is encrypted.
 *
 * Equal nonces show that key, kind, place, commit, op and value are equal, and then the records are equal too. They
 * belong to one write and its repeat, which the backend can already tell by the version. Nonces of different writes are
 * as good as random. Among n values, two collide with a probability of n² / 2^97: 2^-33 among 2^32 values. That is the
 * bound of NIST SP 800-38D for random nonces, and so the bound for one key here. The nonce 0, whose keystream makes the
 * key of the hash, comes up with a probability of n / 2^96.
 *
 * Format 1 had random nonces, and its place had no prefix of a view. Such records can still be read.
 *
 * @module
 */
import type { Driver, EntryKey, Op, Value } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { DIGITS, IDEMPOTENCY, SENT, encodeNumber, requireId, utf8Bytes } from '../core/keys.ts'
import { hiddenNames } from './shared/hidden-names.ts'
import { mapNames } from './shared/map-names.ts'
import { type Destination, mapValues } from './shared/map-values.ts'
import { requireGiven } from '../core/arguments.ts'

/** Options of {@link encrypt}. */
export interface EncryptOptions {
  /**
   * The keys by their ids (1 to 64 printable ASCII characters): 16 or 32 random bytes each, or a `CryptoKey` for
   * AES-GCM that may encrypt and decrypt. The id is stored with each value, so that old values stay readable while a
   * new key is in use.
   */
  readonly keys: Readonly<Record<string, Uint8Array | CryptoKeyLike>>
  /** The id of the key that encrypts new values. One key should encrypt at most 2^32 values. */
  readonly current: string
  /**
   * Whether the driver may store the number of a log entry under this key, for `append … ref`. The driver writes such
   * numbers itself, in plain text, so a plain number is accepted there and nowhere else. By default the keys that the
   * stores use.
   */
  readonly refs?: (at: EntryKey) => boolean
  /**
   * Hides names too, under this key of at least 32 random bytes, which must never change. Tenants, ids of runs and
   * steps, tags, names of values and messages, and idempotency keys are then stored as a keyed hash followed by the
   * encrypted name. Left out, names stay readable.
   */
  readonly names?: Uint8Array | undefined
}

/** The parts used of a `CryptoKey`. */
export interface CryptoKeyLike {
  readonly type: string
  readonly algorithm: { readonly name: string }
}

type Subtle = NonNullable<typeof crypto.subtle>
/** The type that each runtime declares. */
type ImportedKey = Awaited<ReturnType<Subtle['importKey']>>

const VERSION = 2
/** Format 1: random nonces, and a place without the prefix of a view. */
const RANDOM_VERSION = 1
/** Flags in the second byte. */
const IS_BYTES = 1
const IS_APPEND = 2
/** The length of version, flags, and the length of the key's id. */
const FIXED = 3
const NONCE = 12
/** The length of the hash key that makes nonces, in bytes. */
const HASH_KEY = 32
const TAG = 16

const ID = /^[ -~]{1,64}$/
const REF = /^[1-9]\d{0,15}$/
/** The end of a log entry's key. */
const NUMBER = new RegExp(`\\d{${DIGITS}}$`)

/** Whether the stores keep here the number of an event or a message, to find it again. */
const isRef = ({ key }: EntryKey): boolean => key.startsWith(IDEMPOTENCY) || key.startsWith(SENT)

/**
 * Makes a driver that encrypts its values with AES-GCM, through WebCrypto.
 *
 * A value that was tampered with, cut short, moved to another key or part, stored in plain text, or encrypted with a
 * key that is not in `keys` is refused with `SERIALIZATION`, never returned. In a failed check, `current` then has no
 * value.
 *
 * Still visible are the number and size of entries, the times when they were written and expire, statuses, priorities
 * and times in indexes, the numbers of logs and of `append … ref`, how far a log was trimmed, and, without the option
 * `names`, the ids in keys. Anybody who can write to the backend can still delete entries, restore an older record of
 * the same key, reorder or trim a log, and point a reference at another entry of its log. Only the values themselves
 * are protected.
 *
 * A driver keeps the number up to which a log was trimmed under the number 0 of the log, and reads it. So a plain
 * number is written and accepted at keys that end in `!0000000000000000`, unless that is a name in a key of the stores.
 * Keep no secret number at such a key of your own.
 *
 * With `names`, an id always has the same stored form, so it can be counted, but not read or guessed. Everything is
 * still found by name, status, time and number. The price:
 * - Lists of runs, values, snapshots and steps of the same moment come in a meaningless but constant order.
 * - Calls that depend on the order of names throw `UNSUPPORTED`: the `prefix` of `keys` and `watch`, ranges that start
 *   or end at a name, and `reverse` over names (see `idOrder` in the driver contract).
 * - `backup`, `restore` and `copy` throw `UNSUPPORTED` too. Run them on the driver underneath; the data then stays
 *   encrypted.
 * - Keys and parts grow: a short id takes 24 characters.
 *
 * A repeated request is stored equal byte for byte, also from another process, as long as `current` is the same. A
 * repeat under a new key is refused with `CONFLICT`, and never executed twice. Put this wrapper inside `compress`. To
 * rotate keys, add the new key in every process, then make it `current`. Remove the old key after all values were
 * rewritten.
 *
 * Around `prefix`, or inside it, values are bound to the prefix as well, so tenants can share a key. Around `remote`
 * they cannot be, because the server adds the prefix; give every tenant its own key. Records of format 1, made around
 * `prefix` by an earlier release, are bound to the prefix when they are rewritten.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param options - the keys
 * @returns the driver; the largest value is smaller by 31 bytes and the longest id of a key
 * @throws `INVALID_ARGUMENT` for malformed keys; `UNSUPPORTED` if the runtime has no WebCrypto. Reads throw
 *   `SERIALIZATION`, with the reason in `details.reason`
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
  const { refs = isRef } = options
  const { keys, current } = { ...requireGiven(options, 'options') }
  requireGiven(keys, 'keys')
  const { names } = options
  if (names !== undefined && !(names instanceof Uint8Array && names.length >= 32)) {
    throw invalid('names must be at least 32 bytes')
  }
  const subtle = webCrypto()
  for (const [id, key] of Object.entries(keys)) requireKey(id, key)
  if (!Object.hasOwn(keys, current)) throw invalid('current must be the id of one of keys')

  const imported = new Map<string, Promise<ImportedKey>>()

  /** Imports a key when it is first needed, because the factory does nothing that can fail later. */
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

  const { root = '' } = driver.capabilities
  const placeOf = ({ part, key }: EntryKey): EntryKey => ({ part: root + part, key })

  let hashKey: Promise<ImportedKey> | undefined

  /** Makes the key of the hash from the current encryption key. */
  async function makeHashKey(): Promise<ImportedKey> {
    const bytes = await subtle.encrypt(
      { name: 'AES-GCM', iv: new Uint8Array(NONCE), additionalData: new Uint8Array(0) },
      await keyOf(current),
      new Uint8Array(HASH_KEY),
    )
    const raw = new Uint8Array(bytes).subarray(0, HASH_KEY)
    return subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  }

  async function encode(value: Value, { at, isAppend, commit, op }: Destination): Promise<Uint8Array> {
    const isText = typeof value === 'string'
    const flags = (isText ? 0 : IS_BYTES) | (isAppend ? IS_APPEND : 0)
    const header = headerOf(flags, current)
    const place = placeOf(at)
    const plain = isText ? new TextEncoder().encode(value) : value
    const write = new TextEncoder().encode(JSON.stringify([place.part, place.key, commit, op]))
    const hash = await subtle.sign('HMAC', await (hashKey ??= makeHashKey()), joined(header, write, plain))
    const iv = new Uint8Array(hash).slice(0, NONCE)
    const sealed = await subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData: boundTo(header, place) },
      await keyOf(current),
      plain,
    )
    return joined(header, iv, new Uint8Array(sealed))
  }

  async function decode(record: Value, at: EntryKey): Promise<Value> {
    if (typeof record === 'string') {
      if (REF.test(record) && refs(at)) return record
      throw refused('plaintext')
    }
    const header = record.subarray(0, FIXED + (record[2] ?? 0))
    if (record.length < header.length + NONCE + TAG) throw refused('truncated')
    const [version, flags] = record as unknown as [number, number]
    if ((version !== VERSION && version !== RANDOM_VERSION) || flags > (IS_BYTES | IS_APPEND)) {
      throw refused('unsupported_version')
    }
    const id = new TextDecoder().decode(header.subarray(FIXED))
    if (!Object.hasOwn(keys, id)) throw refused('unknown_key')
    const isAppend = (flags & IS_APPEND) !== 0
    // The number 0 is not an entry of a log.
    if (isAppend && (!NUMBER.test(at.key) || at.key.endsWith(encodeNumber(0)))) throw refused('tampered')
    const home = isAppend ? { part: at.part, key: at.key.slice(0, -DIGITS) } : at
    const place = version === VERSION ? placeOf(home) : home
    const iv = record.subarray(header.length, header.length + NONCE)
    const bytes = await subtle
      .decrypt(
        { name: 'AES-GCM', iv, additionalData: boundTo(header, place) },
        await keyOf(id),
        record.subarray(header.length + NONCE),
      )
      .catch((cause: unknown) => {
        throw refused('tampered', cause)
      })
    if (flags & IS_BYTES) return new Uint8Array(bytes)
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  }

  /** Refuses an op whose value could not be read again. */
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
 * Makes a keyed hash for ids (HMAC-SHA-256), for run ids, tenants or names that must not be readable in a backend.
 *
 * The option `names` of {@link encrypt} hides all names from the backend, and lists return the original names. Use
 * `idHash` for an id that even the holders of those keys must not read, or that is hidden while values are not. Hash
 * the id before you pass it on; lists return the hash.
 *
 * @param key - at least 16 random bytes, which must never change: another key makes other ids
 * @returns a function from text to 64 hexadecimal digits, always the same for the same text
 * @throws `INVALID_ARGUMENT` for a malformed key; `UNSUPPORTED` if the runtime has no WebCrypto
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
  // Missing in pages served over plain HTTP.
  if (!crypto.subtle) throw new HoldfastError('UNSUPPORTED', 'This runtime has no WebCrypto; serve pages over HTTPS')
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
  return joined(new Uint8Array([VERSION, flags, name.length]), name)
}

/**
 * The data that a record is bound to: its header, which contains its own length, and its place. No part holds a line
 * feed.
 */
const boundTo = (header: Uint8Array, { part, key }: EntryKey): Uint8Array<ArrayBuffer> =>
  joined(header, new TextEncoder().encode(`${part}\n${key}`))

function joined(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

const refused = (reason: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SERIALIZATION', `An encrypted value cannot be read: ${reason}`, { details: { reason }, cause })
