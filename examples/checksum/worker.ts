/**
 * A job that survives being killed: checksums every file of a directory tree, and writes a manifest for `sha256sum -c`.
 *
 * It is one run of a workflow with a step for each file. A restarted worker gets the results of earlier steps from the log,
 * and does only the missing files.
 *
 *     tsx worker.ts DATABASE DIRECTORY LIMIT MANIFEST
 */
import { createHash } from 'node:crypto'
import { createReadStream, appendFileSync } from 'node:fs'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { defineWorkflow, run } from 'holdfast/run'

interface Job {
  readonly directory: string
  readonly limit: number
  readonly manifest: string
}

const IN_FLIGHT = 16

const checksum = defineWorkflow({ name: 'checksum' }, async (ctx, { directory, limit, manifest }: Job) => {
  const files = await ctx.step('list', () => listed(directory, limit))
  const sums: string[] = []
  let done = 0
  const left = files.keys()
  /** Does files until none is left. Several of these run at once, and their steps share requests. */
  async function lane(): Promise<void> {
    for (const i of left) {
      sums[i] = await ctx.step(`file ${i}`, async () => {
        const sum = await sha256(files[i]!)
        // Only for the demo, which counts repeated files and shows the progress.
        appendFileSync(`${manifest}.done`, '.')
        if (process.connected) process.send?.({ done: done + 1, total: files.length })
        return sum
      })
      done++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await ctx.step('write the manifest', () => writeManifest(manifest, files, sums))
})

const [path = '', directory = '', limit = '', manifest = ''] = process.argv.slice(2)
const holdfast = createHoldfast({ driver: sqlite({ path }) })
const outcome = await run(holdfast, checksum, {
  runId: 'checksum',
  input: { directory, limit: Number(limit), manifest },
  // A restarted worker of the same name takes its run back at once.
  workerId: 'checksum',
})
await holdfast.close()
if (outcome.status !== 'completed') process.exitCode = 1

/** Paths as Latin-1, one character per byte: on Linux a file name is bytes, and may not be valid UTF-8. */
async function listed(directory: string, limit: number): Promise<string[]> {
  const all: string[] = []
  for await (const file of list(Buffer.from(directory).toString('latin1'))) all.push(file)
  return all.sort().slice(0, limit)
}

async function* list(directory: string): AsyncGenerator<string> {
  for (const entry of await readdir(bytesOf(directory), { withFileTypes: true, encoding: 'latin1' })) {
    const path = `${directory}/${entry.name}`
    if (entry.isDirectory()) yield* list(path)
    else if (entry.isFile()) yield path
  }
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(bytesOf(file))) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Writes the manifest to a temporary file and renames it, so that a manifest is always complete. */
async function writeManifest(manifest: string, files: readonly string[], sums: readonly string[]): Promise<void> {
  const lines = files.map((file, i) => {
    const escaped = file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
    return `${escaped === file ? '' : '\\'}${sums[i]}  ${escaped}\n`
  })
  await writeFile(`${manifest}.part`, lines.join(''), 'latin1')
  await rename(`${manifest}.part`, manifest)
}
