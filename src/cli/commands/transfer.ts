/** The commands `backup`, `restore` and `copy`. @module */
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { Command } from '../libraries.ts'
import type { Database } from '../../core/database.ts'
import { type BackupSummary, backup } from '../../ops/backup.ts'
import { copy } from '../../ops/copy.ts'
import type { Progress } from '../../ops/options.ts'
import type { BackupSource } from '../../ops/read-backup.ts'
import { restore, verifyBackup } from '../../ops/restore.ts'
import { stats } from '../../ops/stats.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure } from '../failures.ts'
import { storeNamed, withStore } from '../stores.ts'

interface CopyOptions {
  readonly to: string
  readonly overwrite?: boolean
  readonly verify: boolean
}

/** Adds the commands that move stores. */
export function addTransferCommands(program: Command): void {
  program
    .command('backup')
    .argument('<file>', 'the file to write; - for standard output, .gz to compress')
    .description('write the store, or one --tenant, to a file')
    .addHelpText('after', examples('backup nightly.ndjson.gz', 'backup - | ssh host "cat > nightly.ndjson"'))
    .action(action(writeBackup))
  program
    .command('restore')
    .argument('<file>', 'a backup; .gz is decompressed')
    .description('verify a backup, then fill the store from it')
    .option('--overwrite', 'replace the contents of the store')
    .addHelpText(
      'after',
      examples('restore nightly.ndjson.gz --store sqlite:./new.db', 'restore nightly.ndjson --overwrite --yes'),
    )
    .action(action(readBackup))
  program
    .command('copy')
    .description('copy the store, or one --tenant, into another, then compare them')
    .requiredOption('--to <url>', 'the other store')
    .option('--overwrite', 'replace the contents of the other store')
    .option('--no-verify', 'do not compare them')
    .addHelpText('after', examples('copy --store sqlite:./old.db --to sqlite:./new.db'))
    .action(action(copyStore))
}

/** Adds the total number of entries to progress reports. */
async function totalled(
  db: Database,
  { signal, options }: Context,
  onProgress: (progress: Progress) => void,
): Promise<(progress: Progress) => void> {
  if (options.json || !process.stderr.isTTY) return onProgress
  const { entries } = await stats(db, { tenant: options.tenant, signal })
  return ({ done }) => onProgress({ done, total: entries })
}

async function writeBackup(context: Context, [file]: readonly string[]): Promise<void> {
  const { terminal, store, signal, options } = context
  const isStream = file === '-'
  if (!isStream && statSync(file!, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Failure(EXIT.usage, `${file} is a directory`, 'Name a file')
  }
  if (!isStream && existsSync(file!)) await terminal.confirm(`Replace the file ${file}?`)
  let summary: BackupSummary | undefined
  await store(({ db }) =>
    terminal.progress('backup', async (report) => {
      const onProgress = await totalled(db, context, report)
      async function* chunks(): AsyncGenerator<string, void> {
        summary = yield* backup(db, { tenant: options.tenant, signal, onProgress })
      }
      const text = Readable.from(chunks())
      if (isStream) {
        await pipeline(text, process.stdout, { end: false })
        return
      }
      // Written under another name first, so that the file is always a whole backup.
      const partial = `${file}.${randomUUID()}.partial`
      const target = createWriteStream(partial, { flags: 'wx', flush: true })
      try {
        await (file!.endsWith('.gz') ? pipeline(text, createGzip(), target) : pipeline(text, target))
        await rename(partial, file!)
      } catch (error) {
        await rm(partial, { force: true })
        throw error
      }
    }),
  )
  const { entries, consistent } = summary!
  const view = consistent ? 'of one moment' : 'not of one moment, because the store was written to meanwhile'
  if (isStream) terminal.note(`${entries} entries, ${view}`)
  else terminal.result({ file, ...summary }, () => `${entries} entries, ${view}`)
}

/** Returns a function that reads a file from its beginning. */
const contentOf = (file: string) => (): BackupSource => {
  const bytes = createReadStream(file)
  if (!file.endsWith('.gz')) return bytes as AsyncIterable<Uint8Array>
  // A file that ends early or is not gzip surfaces as an error of this stream.
  const content = createGunzip()
  bytes.on('error', (error) => content.destroy(error)).pipe(content)
  return content as AsyncIterable<Uint8Array>
}

/** Names the file in the error about a damaged compressed file. */
function gzipFailure(file: string, error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException
  if (code?.startsWith('Z_')) throw new Failure(EXIT.damaged, `${file} is not a complete gzip file: ${message}`)
  throw error
}

async function readBackup(
  { terminal, store, signal, options }: Context,
  [file]: readonly string[],
  { overwrite = false }: { readonly overwrite?: boolean },
): Promise<void> {
  if (!existsSync(file!)) throw new Failure(EXIT.notFound, `The file ${file} does not exist`)
  const open = contentOf(file!)
  // Before the store is opened, which may create it.
  const { tenant } = await verifyBackup(open(), { signal }).catch((error: unknown) => gzipFailure(file!, error))
  if (options.tenant !== undefined && options.tenant !== tenant) {
    const whose = tenant === undefined ? 'all tenants' : `the tenant ${tenant}`
    throw new Failure(EXIT.usage, `The backup is of ${whose}`, 'Restore it without --tenant, or name its own tenant')
  }
  if (overwrite) await terminal.confirm('Replace the contents of the store with the backup?')
  const result = await store(
    ({ db }) => terminal.progress('restore', (onProgress) => restore(db, open, { overwrite, signal, onProgress })),
    { create: true },
  ).catch((error: unknown) => gzipFailure(file!, error))
  const { written, present, removed, expired } = result
  terminal.result(
    result,
    () => `${written} entries written, ${present} already there, ${removed} removed, ${expired} expired`,
  )
  if (!result.consistent)
    terminal.note(
      'The backup is not of one moment: run holdfast verify --repair, which rebuilds the indexes and reports what it cannot repair',
    )
}

async function copyStore(context: Context, _: readonly string[], options: CopyOptions): Promise<number> {
  const { terminal, store, signal, options: common } = context
  const { to, overwrite = false, verify } = options
  storeNamed(to)
  if (to === (common.store ?? process.env['HOLDFAST_URL'])) {
    throw new Failure(EXIT.usage, 'Both URLs name the same store', 'Name another one with --to')
  }
  if (overwrite) await terminal.confirm('Replace the contents of the other store?')
  const result = await store((from) =>
    withStore(to, { create: true }, (target) =>
      terminal.progress('copy', async (report) => {
        const onProgress = await totalled(from.db, context, report)
        return copy(from.db, target.db, { tenant: common.tenant, overwrite, verify, signal, onProgress })
      }),
    ),
  )
  const { written, present, removed, differing } = result
  const compared = differing === undefined ? 'not compared' : `${differing} differ`
  terminal.result(result, () => `${written} entries written, ${present} already there, ${removed} removed, ${compared}`)
  if (!differing) return EXIT.ok
  terminal.note('The source was written to meanwhile: run the command again with --overwrite')
  return EXIT.found
}
