/**
 * A driver for unstorage over a state store, for everything that mounts one: Nitro, Nuxt, `createStorage`.
 *
 * Values are kept as they are, text as text and bytes as bytes. A value set through unstorage as `user:1` is read by
 * `state.get('unstorage:user:1')`. Concurrent calls are sent as one request, including those of `getItems` and
 * `setItems`.
 *
 * @module
 */
import { requireId } from '../core/keys.ts'
import { invalid, isHoldfastError } from '../core/errors.ts'
import type { StateStore } from '../stores/state/store.ts'

/** The options used of those that unstorage passes to calls. */
export interface UnstorageCallOptions {
  /** How long an item is kept, in seconds; with `0` and `undefined` the driver decides. */
  readonly ttl?: number | undefined
}

/** The metadata of an item, in addition to what `setMeta` has stored. */
export interface UnstorageMeta {
  /** The size in bytes; of text, in UTF-8. */
  readonly size: number
  /** Changes whenever the item is written. */
  readonly etag: string
  /** When the item expires; absent for never. */
  readonly expires?: Date
  /** How long the item is still kept, in whole seconds by this machine's clock; absent for ever. */
  readonly ttl?: number
  readonly [more: string]: number | string | Date | undefined
}

/** A driver for `createStorage` and `mount` of unstorage. Its methods need no `this`. */
export interface UnstorageDriver {
  readonly name: string
  readonly flags: { readonly ttl: boolean }
  /** Whether the key has an item that has not expired. */
  hasItem(key: string): Promise<boolean>
  /** Reads an item as text; bytes are decoded as UTF-8. */
  getItem(key: string): Promise<string | null>
  /** Reads an item as text or bytes, as it was stored. */
  getItemRaw(key: string): Promise<string | Uint8Array | null>
  /** Stores text under the key and replaces any earlier item. */
  setItem(key: string, value: string, options?: UnstorageCallOptions): Promise<void>
  /** Stores text, an ArrayBuffer or a view of one. */
  setItemRaw(key: string, value: unknown, options?: UnstorageCallOptions): Promise<void>
  /** Removes the item, if there is one. */
  removeItem(key: string): Promise<void>
  /** The metadata of the item; `null` if there is none. */
  getMeta(key: string): Promise<UnstorageMeta | null>
  /** The keys that start with the base; all by default. */
  getKeys(base?: string): Promise<string[]>
  /** Removes the items whose keys start with the base, all by default; nothing else in the state store. */
  clear(base?: string): Promise<void>
  /** Calls the listener for changes, by anyone. Resolves with a function that stops it. */
  watch(listener: (event: 'update' | 'remove', key: string) => unknown): Promise<() => void>
  /** Stops all watching. The state store stays open. */
  dispose(): void
}

/** Options of {@link unstorageDriver}. */
export interface UnstorageDriverOptions {
  /** The store of the items. An item's key there is `base`, a `:` and its key: together at most 256 UTF-8 bytes. */
  readonly state: StateStore
  /** The prefix of its keys, `unstorage` by default. Keys outside are neither listed nor cleared. */
  readonly base?: string
  /** The time to live of items set without one, in seconds from 1; for ever by default. */
  readonly ttl?: number
  /** See `pollInterval` of `state.watch`, in milliseconds. */
  readonly pollInterval?: number
  /** Called when watching has ended because a read failed. By default the rejection is left unhandled. */
  readonly onWatchError?: (error: unknown) => void
}

/**
 * Makes a driver for unstorage over a state store.
 *
 * Calls throw the errors of the state store, such as `INVALID_ARGUMENT` for a key that is too long. The time of
 * modification is not stored, so the metadata has no `mtime`.
 *
 * @param options - the state store, and optional base, time to live and watch settings
 * @returns a driver; making one does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { unstorageDriver } from 'holdfast/adapters/unstorage'
 * import { createStorage } from 'unstorage'
 *
 * const { state } = createHoldfast({ driver: memory() })
 * const storage = createStorage({ driver: unstorageDriver({ state }) })
 * await storage.setItem('session:17', { user: 'kelp' }, { ttl: 3600 })
 * console.log(await storage.getKeys('session')) // [ 'session:17' ]
 * ```
 */
export function unstorageDriver(options: UnstorageDriverOptions): UnstorageDriver {
  const { state, base = 'unstorage', ttl: defaultTtl, onWatchError } = options
  if (typeof state?.listKeys !== 'function') throw invalid('state must be a state store')
  requireId(base, 'base')
  const prefix = `${base}:`
  const watchOptions = options.pollInterval === undefined ? {} : { pollInterval: options.pollInterval }
  const stops = new Set<() => void>()

  const nameOf = (key: string): string => prefix + key
  const keyOf = (name: string): string => name.slice(prefix.length)
  // In unstorage, zero means no time to live.
  const lifeOf = ({ ttl }: UnstorageCallOptions = {}): { ttl?: number } => {
    const seconds = ttl || defaultTtl
    return seconds ? { ttl: Math.ceil(seconds * 1000) } : {}
  }

  async function follow(
    watching: AsyncIterator<readonly string[]>,
    listener: Parameters<UnstorageDriver['watch']>[0],
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for (;;) {
        const { value, done } = await watching.next()
        if (done) return
        const names: readonly string[] = value
        const exist = await Promise.all(names.map((name) => state.exists(name, { signal })))
        for (const [i, name] of names.entries()) listener(exist[i] ? 'update' : 'remove', keyOf(name))
      }
    } catch (error) {
      if (signal.aborted || isHoldfastError(error, 'CLOSED')) return
      if (!onWatchError) throw error
      onWatchError(error)
    }
  }

  return {
    name: 'holdfast',
    flags: { ttl: true },
    hasItem: (key) => state.exists(nameOf(key)),
    async getItem(key) {
      const value = await state.get(nameOf(key))
      return value instanceof Uint8Array ? new TextDecoder().decode(value) : (value ?? null)
    },
    getItemRaw: async (key) => (await state.get(nameOf(key))) ?? null,
    setItem: (key, value, options) => state.set(nameOf(key), value, lifeOf(options)),
    setItemRaw: (key, value, options) => state.set(nameOf(key), contentOf(value), lifeOf(options)),
    removeItem: async (key) => void (await state.delete(nameOf(key))),
    async getMeta(key) {
      const found = await state.describe(nameOf(key))
      if (!found) return null
      const { size, version: etag, expiresAt } = found
      if (expiresAt === undefined) return { size, etag }
      const ttl = Math.max(0, Math.ceil((expiresAt - Date.now()) / 1000))
      return { size, etag, expires: new Date(expiresAt), ttl }
    },
    async getKeys(under = '') {
      const keys: string[] = []
      for await (const name of state.keys({ prefix: nameOf(under), limit: PAGE })) keys.push(keyOf(name))
      return keys
    },
    async clear(under = '') {
      let cursor: string | undefined
      do {
        const page = await state.listKeys({ prefix: nameOf(under), limit: PAGE, cursor })
        await Promise.all(page.items.map((name) => state.delete(name)))
        cursor = page.cursor
      } while (cursor !== undefined)
    },
    async watch(listener) {
      const stopping = new AbortController()
      const { signal } = stopping
      const watching = state.watch({ prefix }, { ...watchOptions, signal })[Symbol.asyncIterator]()
      const stop = (): void => {
        stops.delete(stop)
        stopping.abort()
      }
      // Reads the current items first; from here on no change is missed.
      await watching.next()
      stops.add(stop)
      void follow(watching, listener, signal)
      return stop
    },
    dispose() {
      for (const stop of stops) stop()
    },
  }
}

/** The number of keys listed or removed at once. */
const PAGE = 1000

/** Converts to what the state store accepts, which refuses anything else. */
function contentOf(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (!ArrayBuffer.isView(value) || value instanceof Uint8Array) return value as Uint8Array
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}
