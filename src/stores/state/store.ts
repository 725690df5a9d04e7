/**
 * The state store: values with a time to live, of the tenant or of one run, and one snapshot per run.
 *
 * Its interface is that of enact's `StateStore`, with atomic operations added.
 *
 * @module
 */
import { type Known, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
import { cells } from '../../core/cells.ts'
import { decode, encode } from '../../core/codec.ts'
import { type Database, type InnerDatabase, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry, EntryKey, Value } from '../../core/driver.ts'
import { type Duration, expiryOf } from '../../core/duration.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { EVERYTHING, VALUES, decodeId, encodeId, headOf, tenantParts, under, utf8Bytes } from '../../core/keys.ts'
import { type Page, type PageOptions, eachItem, readPage, PAGE } from '../../core/pages.ts'
import { CALL, WRITE, type WriteOptions } from '../../core/options.ts'
import { remove } from '../../core/remove.ts'
import { runRecords } from '../../runs/record.ts'
import { pack, unpack } from './raw-values.ts'
import {
  SNAPSHOT_STORE,
  type SnapshotOptions,
  type SnapshotStore,
  snapshotStore,
  withoutSnapshot,
} from './snapshots.ts'
import { type WatchOptions, type Watched, changes, requireWatched, WATCH } from '../../core/watch.ts'

/** The owner of a value. */
export interface ScopeOptions extends CallOptions {
  /** The run that the value belongs to, and is deleted with; the tenant itself by default. */
  readonly runId?: string | undefined
}

/** Options of calls that change a value. */
export interface ChangeOptions extends WriteOptions, ScopeOptions {}

/** Options of calls that store a value. */
export interface SetOptions extends ChangeOptions {
  /** Time to live by the backend's clock, from 1 ms to 8.64e15 ms; for ever by default. */
  readonly ttl?: Duration | undefined
}

/** Options of {@link StateStore.increment}. */
export interface IncrementOptions extends SetOptions {
  /** The number to add, a safe integer; 1 by default. */
  readonly by?: number | undefined
}

/** The size, version and expiry of a value. */
export interface ValueInfo {
  /** In bytes; for text, of its UTF-8. */
  readonly size: number
  /** Changes with every write; opaque. */
  readonly version: string
  /** When the value expires, in milliseconds since 1970 by the backend's clock; absent if it does not. */
  readonly expiresAt?: number
}

/** Options of {@link StateStore.listKeys}. */
export interface ListKeysOptions extends PageOptions, ScopeOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string | undefined
}

/** Options of {@link StateStore.watch}. */
export interface WatchKeysOptions extends WatchOptions, ScopeOptions {}

const SCOPE: Known<ScopeOptions> = { ...CALL, runId: true }
const CHANGE: Known<ChangeOptions> = { ...WRITE, ...SCOPE }
const SET: Known<SetOptions> = { ...CHANGE, ttl: true }
const INCREMENT: Known<IncrementOptions> = { ...SET, by: true }
const KEYS: Known<ListKeysOptions> = { ...PAGE, ...SCOPE, prefix: true }
const WATCH_KEYS: Known<WatchKeysOptions> = { ...WATCH, ...SCOPE }

/**
 * Values and snapshots of one tenant.
 *
 * A key is any well-formed Unicode text of 1 to 256 UTF-8 bytes; no character is special. Every method throws
 * `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once the database is
 * closed, before any I/O.
 *
 * Calls take effect in the order in which they are made, awaited or not. There is one exception: `increment`,
 * `getAndDelete`, `deleteExecutionState` and the calls of snapshots may need several requests. Writes made after them
 * without waiting may then come first. Reads never do.
 */
export interface StateStore extends SnapshotStore {
  /**
   * Stores text or bytes. Replaces an existing value and its time to live.
   *
   * @param key - 1 to 256 UTF-8 bytes of text
   * @param value - text or bytes, stored as they are
   * @param options - `ttl` removes the value after that time
   * @throws `SERIALIZATION` for anything but text and bytes, `PAYLOAD_TOO_LARGE` if the value exceeds the backend's
   *   limit
   */
  set(key: string, value: Value, options?: SetOptions): Promise<void>
  /** Reads the text or bytes under a key; `undefined` if there is no value, or it has expired. */
  get(key: string, options?: ScopeOptions): Promise<Value | undefined>
  /** Reads the values of several keys in one consistent view. Missing keys are left out of the map. */
  getMany(keys: readonly string[], options?: ScopeOptions): Promise<Map<string, Value>>
  /** Deletes a value. Returns whether there was one. */
  delete(key: string, options?: ChangeOptions): Promise<boolean>
  /** Returns whether a key has a value. */
  exists(key: string, options?: ScopeOptions): Promise<boolean>
  /** Reads the size, version and expiry of a value; `undefined` if there is none. */
  describe(key: string, options?: ScopeOptions): Promise<ValueInfo | undefined>
  /**
   * Stores a structured value: JSON, and anywhere in it Date, BigInt, Map, Set, undefined, NaN, infinities, -0,
   * Uint8Array and ArrayBuffer.
   *
   * @param key - 1 to 256 UTF-8 bytes of text
   * @param value - the value
   * @param options - `ttl` removes the value after that time
   * @throws `SERIALIZATION`, with the path to the member that cannot be stored; `PAYLOAD_TOO_LARGE` if the value
   *   exceeds the backend's limit
   */
  setJson(key: string, value: unknown, options?: SetOptions): Promise<void>
  /**
   * Reads the structured value under a key.
   *
   * @param key - 1 to 256 UTF-8 bytes of text
   * @returns the value; `undefined` if there is none, or it has expired
   * @throws `SERIALIZATION` if the value was not stored by `setJson`
   */
  getJson<T = unknown>(key: string, options?: ScopeOptions): Promise<T | undefined>
  /**
   * Stores a value if the key is free.
   *
   * @param key - 1 to 256 UTF-8 bytes of text
   * @param value - text or bytes
   * @param options - `ttl` removes the value after that time
   * @returns `true` if the value was stored, `false` if the key was taken
   * @throws as {@link set}
   */
  setIfAbsent(key: string, value: Value, options?: SetOptions): Promise<boolean>
  /**
   * Adds to the integer under a key, atomically. A missing value counts as 0.
   *
   * @param key - 1 to 256 UTF-8 bytes of text
   * @param options - `by` is the number to add, 1 by default; `ttl` applies only if the call creates the value
   * @returns the sum
   * @throws `CONFLICT` if the value is not an integer, or the sum is not a safe one
   */
  increment(key: string, options?: IncrementOptions): Promise<number>
  /** Deletes a value and returns it. If several callers try at once, exactly one gets it. */
  getAndDelete(key: string, options?: ChangeOptions): Promise<Value | undefined>
  /** Lists keys by page, in order. */
  listKeys(options?: ListKeysOptions): Promise<Page<string>>
  /** Iterates over the same keys as `listKeys`, page by page; `limit` is the page size. */
  keys(options?: ListKeysOptions): AsyncIterable<string>
  /**
   * Reports the keys that were written, deleted or have expired. Changes that come together are one report. The first
   * report comes at once and names the existing keys, so one loop body handles both; read the values with `getMany` or
   * `getJson`.
   *
   * Leave the loop to stop. A key that changes several times between two looks is reported once; a key that was deleted
   * and written again is reported, too. Watching a prefix reads every key under it at every look.
   *
   * @param watched - keys, at most as many as the backend reads at once; or a prefix, `''` for all keys
   * @param options - the run that the keys belong to, and how often to look
   * @throws `PAYLOAD_TOO_LARGE` for too many keys; `ABORTED`; `CLOSED` when the database is closed; and errors of the
   *   reads
   *
   * @example
   * ```ts
   * import { createHoldfast, memory } from 'holdfast'
   *
   * const { state } = createHoldfast({ driver: memory() })
   * await state.set('theme', 'dark')
   * for await (const keys of state.watch(['theme'])) {
   *   console.log(keys, await state.getMany(['theme'])) // [ 'theme' ] Map(1) { 'theme' => 'dark' }
   *   break
   * }
   * ```
   */
  watch(watched: Watched, options?: WatchKeysOptions): AsyncIterable<readonly string[]>
  /** Deletes a run's snapshot and all its values in one commit. Its log stays. Returns whether there was anything. */
  deleteExecutionState(runId: string, options?: WriteOptions): Promise<boolean>
}

/**
 * Creates a state store.
 *
 * @param database - the database that holds the values
 * @param options - the tenant, `default` if left out, and the length of the history of snapshots
 * @returns the store. Creating one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant or history
 *
 * @example
 * ```ts
 * import { createDatabase, memory, stateStore } from 'holdfast'
 *
 * const state = stateStore(createDatabase({ driver: memory() }), { tenant: 'acme' })
 * await state.setJson('cart', { items: new Set(['kelp']), at: new Date() }, { ttl: '1 h' })
 * console.log(await state.increment('visits')) // 1
 * console.log(await state.setIfAbsent('leader', 'me')) // true
 * ```
 */
export function stateStore(database: Database, options?: SnapshotOptions): StateStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, SNAPSHOT_STORE).tenant)
  const runs = runRecords(db, parts)
  const contents = cells(db, ({ value, expiresAt }): Content => ({ value, expiresAt }), { isWide: false })

  const scope = ({ runId }: ScopeOptions): { part: string; family: string } =>
    runId === undefined ? { part: parts.values, family: '' } : { part: parts.run(runId), family: VALUES }

  function at(key: string, options: ScopeOptions): EntryKey {
    const { part, family } = scope(options)
    return { part, key: family + encodeId(key, 'key') }
  }

  async function read(keys: readonly string[], given: ScopeOptions | undefined): Promise<(Value | undefined)[]> {
    const options = requireOptions(given, SCOPE)
    const entries = await db.read(
      keys.map((key) => ({ get: at(key, options) })),
      options,
    )
    return entries.map((entry) => (entry ? unpack(entry.value) : undefined))
  }

  /** The keys that have values, with the versions of those. */
  async function versionsOf(keys: readonly string[], options: ScopeOptions): Promise<Map<string, string>> {
    const pages = await db.read(
      // A value may be megabytes.
      keys.map((key) => ({ range: headOf(at(key, options)) })),
      options,
    )
    return new Map(keys.flatMap((key, i) => pages[i]!.entries.map(({ version }) => [key, version] as const)))
  }

  const listVersions = (options: ListKeysOptions): Promise<Page<readonly [string, string]>> => {
    const { prefix = '' } = options
    const { part, family } = scope(options)
    const start = family + (prefix === '' ? '' : encodeId(prefix, 'prefix'))
    const bounds = { start: start || EVERYTHING.start, end: start + EVERYTHING.end }
    const item = ({ key, version }: Entry) => [decodeId(key.slice(family.length)), version] as const
    return readPage(db, part, bounds, item, options, true)
  }

  async function versionsUnder(prefix: string, options: ScopeOptions): Promise<Map<string, string>> {
    const { rangeEntries: limit } = db.driver.capabilities.limits
    const found = new Map<string, string>()
    const all = { signal: options.signal, runId: options.runId, prefix, limit }
    for await (const [key, version] of eachItem(all, KEYS, listVersions)) found.set(key, version)
    return found
  }

  async function write(key: string, value: Value, given: SetOptions | undefined, isNew = false): Promise<boolean> {
    const options = requireOptions(given, SET)
    const put = at(key, options)
    const { ok } = await db.commit(
      {
        checks: isNew ? [{ at: put, version: null }] : [],
        ops: [{ put, value: pack(value), expires: expiryOf(options.ttl) }],
      },
      options,
    )
    return ok
  }

  const store: StateStore = {
    async set(key, value, options) {
      await write(key, value, options)
    },
    get: async (key, options) => (await read([key], options))[0],
    async getMany(keys, options) {
      if (!Array.isArray(keys)) throw invalid(`keys must be an array, not ${shown(keys)}`)
      const values = await read(keys, options)
      const found = new Map<string, Value>()
      keys.forEach((key, i) => values[i] !== undefined && found.set(key, values[i]))
      return found
    },
    async delete(key, given) {
      const options = requireOptions(given, CHANGE)
      return remove(db, [at(key, options)], options)
    },
    async exists(key, given) {
      const options = requireOptions(given, SCOPE)
      const [{ entries }] = await db.read([{ range: headOf(at(key, options)) }], options)
      return entries.length > 0
    },
    async describe(key, given) {
      const options = requireOptions(given, SCOPE)
      const [entry] = await db.read([{ get: at(key, options) }], options)
      if (!entry) return undefined
      const { version, expiresAt } = entry
      const value = unpack(entry.value)
      const size = typeof value === 'string' ? utf8Bytes(value) : value.length
      return { size, version, ...(expiresAt !== null && { expiresAt }) }
    },
    async setJson(key, value, options) {
      await write(key, encode(value), options)
    },
    async getJson<T>(key: string, options?: ScopeOptions) {
      const value = await store.get(key, options)
      return value === undefined ? value : (decode(value) as T)
    },
    setIfAbsent: async (key, value, options) => write(key, value, options, true),
    async increment(key, given) {
      const options = requireOptions(given, INCREMENT)
      const { by = 1 } = options
      requireInteger(by, 'by', Number.MIN_SAFE_INTEGER)
      const expires = expiryOf(options.ttl)
      return contents.change(
        at(key, options),
        (stored) => {
          const { value: number, expiresAt } = stored ?? { value: '0', expiresAt: null }
          const sum = add(number, by)
          const value = String(sum)
          return {
            next:
              !stored && expires
                ? { value, expires }
                : {
                    value,
                    expires: expiresAt === null ? undefined : { at: expiresAt },
                    holds: { value, expiresAt },
                  },
            done: () => sum,
          }
        },
        options,
      )
    },
    async getAndDelete(key, given) {
      const options = requireOptions(given, CHANGE)
      return contents.change(
        at(key, options),
        (stored) => (stored ? { next: null, done: () => unpack(stored.value) } : { done: () => undefined }),
        options,
      )
    },
    async listKeys(options) {
      const { items, ...page } = await listVersions(requireOptions(options, KEYS))
      return { items: items.map(([key]) => key), ...page }
    },
    keys: (options) => eachItem(options, KEYS, store.listKeys),
    async *watch(watched, given) {
      const options = requireOptions(given, WATCH_KEYS)
      const it = requireWatched(watched)
      const look = () => ('prefix' in it ? versionsUnder(it.prefix, options) : versionsOf(it, options))
      yield* changes(db, scope(options).part, look, options)
    },
    async deleteExecutionState(runId, given) {
      const options = requireOptions(given, WRITE)
      const part = parts.run(runId)
      const values = under(VALUES)
      const work = async (held: InnerDatabase): Promise<boolean> => {
        for (;;) {
          const [page] = await held.read([{ range: { part, ...values, limit: 1, keysOnly: true } }], options)
          const first = page.entries[0]
          const existed = await runs.change<boolean | null>(
            runId,
            (run) => {
              const { next, ops = [] } = withoutSnapshot(parts, runId, run, db.now())
              // The answer must be true at the moment of the commit. Without a value there is nothing to delete, so a value
              // that is set meanwhile stays; otherwise the value that was found must still be there.
              return {
                next,
                checks: first ? [{ at: { part, key: first.key }, version: first.version }] : [],
                ops: first ? [...ops, { deleteRange: { part, ...values } }] : ops,
                done: () => first !== undefined || run?.snapshot !== undefined,
                failed: (_, isStale) => (isStale ? undefined : null),
              }
            },
            options,
          )
          if (existed !== null) return existed
        }
      }
      return db.hold(work, options, () => [{ part }])
    },
    // Last, because an object literal that begins with a spread takes ten times as long to create.
    ...snapshotStore(db, options),
  }
  return store
}

/** The part of a value that increments and deletions cache. */
type Content = Pick<Entry, 'value' | 'expiresAt'>

function add(value: Value, by: number): number {
  const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : Number.NaN
  const sum = number + by
  if (Number.isSafeInteger(number) && Number.isSafeInteger(sum)) return sum
  throw new HoldfastError('CONFLICT', 'The stored value and the sum must be safe integers')
}
