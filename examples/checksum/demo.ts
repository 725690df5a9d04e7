/**
 * Runs the checksum job in a child process, kills it with SIGKILL at random moments, and restarts it each time. At the
 * end, `sha256sum -c` checks the manifest.
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
// By default, the first 4000 files of node_modules. A directory given on the command line is done completely.
const directory = resolve(positionals[0] ?? 'node_modules')
const limit = values.limit ?? (positionals[0] === undefined ? '4000' : 'Infinity')
const kills = Number(values.kills)
if (!Number.isSafeInteger(kills) || kills < 0 || !(Number(limit) > 0)) {
  console.error('demo: --kills must be a whole number from 0, and --limit a number above 0')
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
    // Spreads the kills over the rest of the job, so that every part of it is hit.
    const fatal = survived < kills ? Math.random() / (kills - survived) : undefined
    const code = await attempt(fatal)
    if (code === 0) break
    if (code !== null) throw new Error(`The worker failed with exit code ${code}`)
    survived++
    report.say(`killed (${survived} of ${kills}), starting again`)
  }
  report.stop()
  const { done, lost, repeated } = await count()
  // sha256sum rejects an empty manifest.
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

/** Runs the worker once, and kills it when this share of the remaining files is done. Returns its exit code, if any. */
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

/** Kills the worker after a random delay, so that the kill can hit reading, hashing, or a commit. */
function kill(worker: ChildProcess): void {
  setTimeout(() => worker.kill('SIGKILL'), Math.random() * 20)
}

async function count(): Promise<{ done: number; lost: number; repeated: number }> {
  const { persistence, close } = createHoldfast({ driver: sqlite({ path: database }) })
  const steps = new Set<string>()
  let planned = 0
  for await (const { kind, stepId, payload } of persistence.events('checksum', { limit: 1000 })) {
    if (kind !== 'step.completed') continue
    if (stepId === 'list') planned = (payload as string[]).length
    if (stepId?.startsWith('file ')) steps.add(stepId)
  }
  await close()
  const executed = statSync(`${manifest}.done`, { throwIfNoEntry: false })?.size ?? 0
  return { done: steps.size, lost: planned - steps.size, repeated: executed - steps.size }
}

/** Shows a progress bar on a terminal, and a line now and then elsewhere. */
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
