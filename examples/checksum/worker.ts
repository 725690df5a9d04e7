/**
 * A job that survives being killed: checksums every file of a directory tree.
 *
 * The plan, and the result of every file, are events in a durable log. A worker that is started again reads the log,
 * does what is missing, and writes a manifest for `sha256sum -c`.
 *
 *     tsx worker.ts DATABASE DIRECTORY LIMIT MANIFEST
 */
import { createHash } from 'node:crypto'
import { createReadStream, appendFileSync } from 'node:fs'
import { readdir, rename, writeFile } from 'node:fs/promises'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'

interface Plan {
  /** Paths as Latin-1, one character per byte: a file name on Linux is bytes, and need not be text in UTF-8. */
  readonly files: string[]
  /** By place in the plan. */
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
  // Under its key the plan is stored once, whoever else tries to.
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

/** The plan and the results so far, as the log tells them. */
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

/** Takes steps until none is left; several of these run at once, and their appends leave together. */
async function work(steps: Iterator<number>): Promise<void> {
  for (let step = steps.next(); !step.done; step = steps.next()) {
    const sum = await sha256(files[step.value]!)
    const stepId = String(step.value)
    // Only for the demo's count of what was done twice.
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

/** Written aside and renamed, so that there is either a whole manifest or none. */
async function writeManifest(): Promise<void> {
  const lines = files.map((file, i) => {
    const escaped = file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
    return `${escaped === file ? '' : '\\'}${sums.get(i)}  ${escaped}\n`
  })
  await writeFile(`${manifest}.part`, lines.join(''), 'latin1')
  await rename(`${manifest}.part`, manifest)
}
