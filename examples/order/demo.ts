/**
 * Kills the order workflow at each of its await points, and restarts it each time. Then checks that every step was done
 * once. If the order was rejected, it also checks that the steps were undone in reverse order.
 *
 *     npm run demo
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { SingleBar } from 'cli-progress'
import { build } from 'esbuild'

const EXPECTED = {
  approve: { outcome: { status: 'completed', result: 'shipped' }, deeds: ['reserve', 'charge', 'ship'] },
  reject: {
    outcome: { status: 'compensated', error: 'The order was not approved' },
    deeds: ['reserve', 'charge', 'refund', 'release'],
  },
}
type Decision = keyof typeof EXPECTED

/** The compiled worker. It is compiled once, because it is started more than a hundred times. */
const WORKER = join(import.meta.dirname, '../../build/order-worker.js')

interface Told {
  readonly outcome: unknown
  readonly awaitPoints: number
}

/** Runs the worker. Returns what it reports; `undefined` if it was killed. */
function work(home: string, decision: Decision, killAt = 0): Promise<Told | undefined> {
  const files = [join(home, 'holdfast.db'), join(home, 'effects')]
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [WORKER, ...files, decision, String(killAt)], (error, stdout) => {
      if (!error) resolve(JSON.parse(stdout) as Told)
      else if (error.signal === 'SIGKILL') resolve(undefined)
      else reject(error)
    })
  })
}

/** Returns the effects of the services so far. */
const deedsIn = (home: string): (string | undefined)[] =>
  readFileSync(join(home, 'effects'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t')[1])

/** Shows the steps of one order before and after a kill. */
async function show(killAt: number): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  try {
    await work(home, 'approve', killAt)
    const before = deedsIn(home)
    console.log(`order-17 starts:        ${before.join(', ')}  <- killed with SIGKILL`)
    const told = await work(home, 'approve')
    console.log(`order-17 starts again:  ${deedsIn(home).slice(before.length).join(', ')}  <- no step is repeated`)
    console.log(`order-17 ends:          ${JSON.stringify(told?.outcome)}\n`)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Kills the worker at one await point, restarts it, and checks the outcome. Returns the faults found. */
async function attempt(
  decision: Decision,
  killAt: number,
): Promise<{ kills: number; awaitPoints: number; faults: string[] }> {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-demo-'))
  try {
    const killed = killAt > 0 && (await work(home, decision, killAt)) === undefined
    const told = (await work(home, decision))!
    const deeds = deedsIn(home)
    const expected = EXPECTED[decision]
    const faults: string[] = []
    if (!isDeepStrictEqual(told.outcome, expected.outcome))
      faults.push(`${decision}: ${JSON.stringify(told.outcome)} after ${killAt}`)
    if (!isDeepStrictEqual(deeds, expected.deeds)) faults.push(`${decision}: did ${deeds.join(', ')} after ${killAt}`)
    return { kills: killed ? 1 : 0, awaitPoints: told.awaitPoints, faults }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

await build({ entryPoints: [join(import.meta.dirname, 'worker.ts')], outfile: WORKER, format: 'esm' })
const decisions = Object.keys(EXPECTED) as Decision[]
const whole = await Promise.all(decisions.map((decision) => attempt(decision, 0)))
await show(Math.floor(whole[0]!.awaitPoints / 2))
const kills = decisions.flatMap((decision, i) =>
  Array.from({ length: whole[i]!.awaitPoints }, (_, point) => ({ decision, killAt: point + 1 })),
)
const faults = whole.flatMap((it) => it.faults)
const bar = process.stdout.isTTY ? new SingleBar({ format: 'order [{bar}] {value}/{total} kills' }) : undefined
bar?.start(kills.length, 0)
let survived = 0
const lane = async (): Promise<void> => {
  for (let next = kills.shift(); next; next = kills.shift()) {
    const it = await attempt(next.decision, next.killAt)
    survived += it.kills
    faults.push(...it.faults)
    bar?.increment()
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, lane))
bar?.stop()
console.log(`order workflow: killed at ${survived} await points, one after the other, and started again`)
console.log(
  `                approved: ${EXPECTED.approve.deeds.join(', ')}; rejected: ${EXPECTED.reject.deeds.join(', ')}`,
)
console.log(`                every step done once, undone in reverse order: ${faults.length === 0 ? 'OK' : 'NO'}`)
for (const fault of faults) console.error(fault)
process.exitCode = faults.length === 0 ? 0 : 1
