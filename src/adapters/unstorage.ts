/**
 * A state store as a driver of unstorage, for whatever mounts one: Nitro, Nuxt, `createStorage`.
 *
 * Values are kept as they are, text as text and bytes as bytes: what is set through unstorage under `user:1` is what
 * `state.get('unstorage:user:1')` gives. Calls made at once leave in one request, those of `getItems` and `setItems` too.
 *
 * @module
 */
import { requireId } from '../core/keys.ts'
import { invalid, isHoldfastError } from '../core/errors.ts'
import type { StateStore } from '../stores/state/store.ts'

/** What unstorage hands to calls, as far as it is used here. */
export interface UnstorageCallOptions {
  /** For how long an item is there, in seconds; `0` and `undefined` leave it to the driver. */
  readonly ttl?: number | undefined
}

/** What unstorage is told of an item, beside what `setMeta` has stored. */
export interface UnstorageMeta {
  /** In bytes; of text, its UTF-8. */
  readonly size: number
  /** Changes whenever the item is written. */
  readonly etag: string
  /** When it expires; absent for never. */
  readonly expires?: Date
  /** How long it is still there, in whole seconds, by this machine's clock; absent for ever. */
  readonly ttl?: number
  readonly [more: string]: number | string | Date | undefined
}

/** A driver as `createStorage` and `mount` of unstorage take it. Its methods need no `this`. */
export interface UnstorageDriver {
  readonly name: string
  readonly flags: { readonly ttl: boolean }
  /** Whether there is an item under the key that has not expired. */
  hasItem(key: string): Promise<boolean>
  /** What is stored as bytes is read as UTF-8. */
  getItem(key: string): Promise<string | null>
  /** Text or bytes, whichever was stored. */
  getItemRaw(key: string): Promise<string | Uint8Array | null>
  /** Stores text under the key, in place of what was there. */
  setItem(key: string, value: string, options?: UnstorageCallOptions): Promise<void>
  /** Takes text, an ArrayBuffer or a view of one. */
  setItemRaw(key: string, value: unknown, options?: UnstorageCallOptions): Promise<void>
  /** Removes the item under the key, if there is one. */
  removeItem(key: string): Promise<void>
  /** What is known of the item; `null` where there is none. */
  getMeta(key: string): Promise<UnstorageMeta | null>
  /** The keys that begin with the base, all by default. */
  getKeys(base?: string): Promise<string[]>
  /** Removes the items whose keys begin with the base, all by default; nothing else of the state store. */
  clear(base?: string): Promise<void>
  /** Tells the listener of changes, whoever makes them, until the function that it resolves with is called. */
  watch(listener: (event: 'update' | 'remove', key: string) => unknown): Promise<() => void>
  /** Ends all watching; the state store stays open. */
  dispose(): void
}

/** Options of {@link unstorageDriver}. */
export interface UnstorageDriverOptions {
  /** Where items are kept, under `base`, a `:` and their key: together at most 256 UTF-8 bytes. */
  readonly state: StateStore
  /** The prefix of its keys, `unstorage` by default; what lies outside is neither listed nor cleared. */
  readonly base?: string
  /** The time to live of items that are set without one, in seconds, from 1; for ever by default. */
  readonly ttl?: number
  /** See `pollInterval` of `state.watch`, in milliseconds. */
  readonly pollInterval?: number
  /** Told when watching has ended because reading failed; by default the rejection is left unhandled. */
  readonly onWatchError?: (error: unknown) => void
}

/**
 * Makes a driver of unstorage over a state store.
 *
 * Calls throw what the state store throws, such as `INVALID_ARGUMENT` for a key that is too long. When an item was
 * modified is not kept, so the metadata has no `mtime`.
 *
 * @param options - the state store, and base, time to live, how to watch
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
  // Zero is how others say that there is none.
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
      // What is there already: from here on nothing is missed.
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

/** Keys that are listed, or taken away, at once. */
const PAGE = 1000

/** What the state store takes; anything else it refuses. */
function contentOf(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (!ArrayBuffer.isView(value) || value instanceof Uint8Array) return value as Uint8Array
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}
