/**
 * A job that survives being killed: checksums every file of a directory tree.
 *
 * The plan and the checksum of every file are events in a durable log. A restarted worker reads the log, does the missing
 * files, and writes a manifest for `sha256sum -c`.
 *
 *     tsx worker.ts DATABASE DIRECTORY LIMIT MANIFEST
 */
import { createHash } from 'node:crypto'
import { createReadStream, appendFileSync } from 'node:fs'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'

interface Plan {
  /** Paths as Latin-1, one character per byte: on Linux a file name is bytes, and may not be valid UTF-8. */
  readonly files: string[]
  /** The checksums by the file's index in `files`. */
  readonly sums: Map<number, string>
  readonly isComplete: boolean
}

const IN_FLIGHT = 16
const RUN = { runId: 'checksum', workflow: 'checksum' }

const [path = '', directory = '', limit = '', manifest = ''] = process.argv.slice(2)
const { persistence, close } = createHoldfast({ driver: sqlite({ path }) })

let plan = await recorded()
if (plan?.isComplete) process.exit()
if (plan === undefined) {
  const all: string[] = []
  for await (const file of list(Buffer.from(directory).toString('latin1'))) all.push(file)
  const files = all.sort().slice(0, Number(limit))
  // The idempotency key stores the plan once, even if several workers try.
  await persistence.append({ ...RUN, kind: 'planned', payload: files, idempotencyKey: 'plan' })
  plan = { files, sums: new Map(), isComplete: false }
} else {
  await persistence.resume(RUN.runId, (await persistence.getLatestSeq(RUN.runId)) ?? 0)
}

const { files, sums } = plan
const left = [...files.keys()].filter((i) => !sums.has(i)).values()
await Promise.all(Array.from({ length: IN_FLIGHT }, () => work(left)))
await writeManifest()
await persistence.complete(RUN.runId, 'completed', { event: { kind: 'finished' } })
await close()

/** Reads the plan and the checksums so far from the log. */
async function recorded(): Promise<Plan | undefined> {
  let files: string[] | undefined
  let isComplete = false
  const sums = new Map<number, string>()
  for await (const { kind, stepId, payload } of persistence.events(RUN.runId, { limit: 1000 })) {
    if (kind === 'planned') files = payload as string[]
    if (kind === 'hashed') sums.set(Number(stepId), payload as string)
    if (kind === 'finished') isComplete = true
  }
  return files && { files, sums, isComplete }
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

async function* list(directory: string): AsyncGenerator<string> {
  for (const entry of await readdir(bytesOf(directory), { withFileTypes: true, encoding: 'latin1' })) {
    const path = `${directory}/${entry.name}`
    if (entry.isDirectory()) yield* list(path)
    else if (entry.isFile()) yield path
  }
}

/** Does files until none is left. Several of these run at once, and their appends share requests. */
async function work(steps: Iterator<number>): Promise<void> {
  for (let step = steps.next(); !step.done; step = steps.next()) {
    const sum = await sha256(files[step.value]!)
    const stepId = String(step.value)
    // Only for the demo, which counts repeated files.
    appendFileSync(`${manifest}.done`, '.')
    await persistence.append({ ...RUN, kind: 'hashed', stepId, payload: sum, idempotencyKey: stepId })
    sums.set(step.value, sum)
    if (process.connected) process.send?.({ done: sums.size, total: files.length })
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(bytesOf(file))) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Writes the manifest to a temporary file and renames it, so that a manifest is always complete. */
async function writeManifest(): Promise<void> {
  const lines = files.map((file, i) => {
    const escaped = file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
    return `${escaped === file ? '' : '\\'}${sums.get(i)}  ${escaped}\n`
  })
  await writeFile(`${manifest}.part`, lines.join(''), 'latin1')
  await rename(`${manifest}.part`, manifest)
}
