/** Writes a store as a stream of text. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { encodeId } from '../core/keys.ts'
import { sha256 } from '../core/sha256.ts'
import { FORMAT, type Header, type Trailer, entryLine, lineOf, sealer } from './format.ts'
import { STORE_WIDE, type StoreWideOptions, batchOf, requireOrder } from './options.ts'
import { scan } from './scan.ts'

/** Options of {@link backup}. */
export interface BackupOptions extends StoreWideOptions {
  /**
   * Whether the keys are read once more at the end, to tell whether all of it was there at one moment; `true` by
   * default. Without that it is said to be not.
   */
  readonly verify?: boolean | undefined
}

const BACKUP: Known<BackupOptions> = { ...STORE_WIDE, verify: true }

/** What a backup holds. */
export interface BackupSummary {
  readonly entries: number
  /**
   * Whether all of it was there at one moment, as far as it does not expire. Where not, somebody has written meanwhile:
   * a run still is of one moment, where it has at most 16 batches of entries, 32 MiB of values, and what changed of it
   * meanwhile fits into one answer of the backend.
   */
  readonly consistent: boolean
  /** Of the driver's clock, in milliseconds since 1970. */
  readonly createdAt: number
}

/** A chunk is sealed at so many entries, or characters. */
const CHUNK_ENTRIES = 256
const CHUNK_LENGTH = 2 ** 20

/**
 * Backs a store up, or one tenant of it, while it is used: a stream of text in the documented format, one entry a line,
 * sealed by checksums. It can be compressed. A batch of entries is held in memory, and of a longer run up to 16.
 *
 * @param db - the store; nothing is written there
 * @param options - tenant, `verify`, batch, progress, signal
 * @returns chunks of text, to be stored in order as UTF-8; the generator's return value sums it up
 * @throws `UNSUPPORTED` in pages that came over plain HTTP, which have no checksums, and where names are hidden; `INVALID_ARGUMENT`, `ABORTED`,
 *   `CLOSED`, whatever the backend throws. What was written by then is refused by `restore`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { backup, restore } from 'holdfast/ops'
 *
 * const { db, state } = createHoldfast({ driver: memory() })
 * await state.set('greeting', 'hello')
 * const chunks: string[] = []
 * for await (const chunk of backup(db)) chunks.push(chunk) // Or: Readable.from(backup(db)).pipe(file)
 *
 * const other = createHoldfast({ driver: memory() })
 * console.log((await restore(other.db, () => chunks)).written) // 1
 * ```
 */
export async function* backup(db: Database, options: BackupOptions = {}): AsyncGenerator<string, BackupSummary> {
  requireOptions(options, BACKUP)
  const { tenant, onProgress, signal, verify = true } = options
  if (tenant !== undefined) encodeId(tenant, 'tenant')
  batchOf(options, db.driver.capabilities.limits)
  requireOrder(db.driver)
  await db.read([], { signal })
  const createdAt = db.now()
  const header: Header = {
    holdfast: 'backup',
    format: FORMAT,
    driver: db.driver.name,
    createdAt,
    ...(tenant !== undefined && { tenant }),
  }
  const { seal } = sealer()
  const seen = verify ? fingerprint() : undefined
  let chunk = lineOf(header)
  let count = 0
  let entries = 0
  const sealed = async (): Promise<string> => {
    const text = chunk + (await seal(chunk))
    chunk = ''
    count = 0
    return text
  }
  for await (const slices of scan(db, { ...options, settled: true })) {
    for (const { part, entries: found } of slices) {
      for (const entry of found) {
        chunk += entryLine(part, entry)
        entries++
        await seen?.add(part, entry)
        if (++count >= CHUNK_ENTRIES || chunk.length >= CHUNK_LENGTH) yield await sealed()
      }
    }
    onProgress?.({ done: entries })
  }
  const consistent = seen !== undefined && (await seen.end()) === (await fingerprintOf(db, options))
  const trailer: Trailer = { end: true, entries, consistent }
  chunk += lineOf(trailer)
  yield await sealed()
  return { entries, consistent, createdAt }
}

/** Stands for the names and versions of entries, but of those that go by themselves. */
interface Fingerprint {
  add(part: string, entry: Entry): Promise<void> | undefined
  end(): Promise<string>
}

/** Names gathered before they are hashed, in characters. */
const GATHERED = 2 ** 16

function fingerprint(): Fingerprint {
  let digest = ''
  let names = ''
  const fold = async (): Promise<void> => {
    digest = await sha256(digest + names)
    names = ''
  }
  return {
    add(part, { key, version, expiresAt }) {
      if (expiresAt === null) names += `${part}\n${key}\n${version}\n`
      return names.length >= GATHERED ? fold() : undefined
    },
    async end() {
      await fold()
      return digest
    },
  }
}

async function fingerprintOf(db: Database, { tenant, batch, signal }: BackupOptions): Promise<string> {
  const seen = fingerprint()
  for await (const slices of scan(db, { tenant, batch, signal, keysOnly: true })) {
    for (const { part, entries } of slices) for (const entry of entries) await seen.add(part, entry)
  }
  return seen.end()
}
