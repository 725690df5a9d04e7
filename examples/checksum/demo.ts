/**
 * Runs the checksum job in a child process that is killed with SIGKILL at random moments and started again each time,
 * then has `sha256sum -c` check the manifest.
 *
 *     npm run demo -- [DIRECTORY] [--kills N] [--limit N]
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { SingleBar } from 'cli-progress'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'

interface Progress {
  readonly done: number
  readonly total: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { kills: { type: 'string', default: '5' }, limit: { type: 'string' } },
})
// By default a few thousand files; a directory that was asked for is done whole.
const directory = resolve(positionals[0] ?? 'node_modules')
const limit = values.limit ?? (positionals[0] === undefined ? '4000' : 'Infinity')
const kills = Number(values.kills)
if (!Number.isSafeInteger(kills) || kills < 0 || !(Number(limit) > 0)) {
  console.error('demo: --kills takes a whole number from 0, --limit one from 1')
  process.exit(2)
}
if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
  console.error(`demo: ${directory} is not a directory`)
  process.exit(2)
}

const home = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
const database = join(home, 'holdfast.db')
const manifest = join(home, 'SHA256SUMS')
const started = performance.now()
const report = progressReport()

try {
  let survived = 0
  for (let starts = 0; ; starts++) {
    // Spread over what is left, so that every part of the job gets its kill.
    const fatal = survived < kills ? Math.random() / (kills - survived) : undefined
    const code = await attempt(fatal)
    if (code === 0) break
    if (code !== null) throw new Error(`The worker failed with exit code ${code}`)
    survived++
    report.say(`killed (${survived} of ${kills}), starting again`)
  }
  report.stop()
  const { done, lost, repeated } = await count()
  // Of no files there is no manifest that sha256sum would take for one.
  const checked = done === 0 ? '' : execFileSync('sha256sum', ['--check', '--quiet', '--strict', manifest])
  console.log(`manifest:       ${done} files, sha256sum -c: ${String(checked) || 'OK'}`)
  console.log(`kills survived: ${survived}`)
  console.log(`steps done:     ${done}`)
  console.log(`steps repeated: ${repeated}`)
  console.log(`steps lost:     ${lost}`)
  console.log(`time:           ${((performance.now() - started) / 1000).toFixed(1)} s`)
  process.exitCode = lost === 0 ? 0 : 1
} finally {
  report.stop()
  rmSync(home, { recursive: true, force: true })
}

/** Runs the worker once; kills it when this share of what is left is done. Resolves to its exit code, if it had one. */
async function attempt(fatal: number | undefined): Promise<number | null> {
  const worker = fork(join(import.meta.dirname, 'worker.ts'), [database, directory, limit, manifest])
  let first: Progress | undefined
  worker.on('message', (progress: Progress) => {
    first ??= progress
    report.show(progress)
    if (fatal === undefined || progress.done < first.done + (progress.total - first.done) * fatal) return
    fatal = undefined
    kill(worker)
  })
  const [code] = (await once(worker, 'exit')) as [number | null]
  return code
}

/** A moment later, so that it hits anything: reading, hashing, a commit half-way. */
function kill(worker: ChildProcess): void {
  setTimeout(() => worker.kill('SIGKILL'), Math.random() * 20)
}

async function count(): Promise<{ done: number; lost: number; repeated: number }> {
  const { persistence, close } = createHoldfast({ driver: sqlite({ path: database }) })
  const steps = new Set<string>()
  let planned = 0
  for await (const { kind, stepId, payload } of persistence.events('checksum', { limit: 1000 })) {
    if (kind === 'planned') planned = (payload as string[]).length
    if (kind === 'hashed') steps.add(stepId!)
  }
  await close()
  const executed = statSync(`${manifest}.done`, { throwIfNoEntry: false })?.size ?? 0
  return { done: steps.size, lost: planned - steps.size, repeated: executed - steps.size }
}

/** A bar where somebody watches, now and then a line where not. */
function progressReport(): { show(p: Progress): void; say(line: string): void; stop(): void } {
  const isWatched = process.stdout.isTTY
  const bar = new SingleBar({ format: '{bar} {percentage} %  {value} of {total} files  {note}', stopOnComplete: false })
  let isStarted = false
  let note = ''
  let next = 0
  return {
    show({ done, total }) {
      if (!isWatched && done / total >= next) {
        console.log(`${done} of ${total} files`)
        next = Math.floor((done / total) * 10 + 1) / 10
      } else if (isWatched && !isStarted) {
        bar.start(total, done, { note })
        isStarted = true
      } else if (isWatched) bar.update(done, { note })
    },
    say(line) {
      note = line
      if (!isWatched) console.log(line)
    },
    stop() {
      if (isStarted) bar.stop()
      isStarted = false
    },
  }
}
