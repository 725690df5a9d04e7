/**
 * An order as a workflow that survives its process. It reserves the goods, charges the card at the second attempt, and
 * waits for the decision of a clerk. Then it ships the parcel, or undoes everything.
 *
 *     worker.ts DATABASE EFFECTS DECISION [KILL_AT]
 *
 * With KILL_AT the process kills itself at that await point, just before or just after a call of the driver.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { type Driver, createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { type StepInfo, defineWorkflow, run } from 'holdfast/run'

const [database = '', effects = '', decision = 'approve', killAt = '0'] = process.argv.slice(2)

/** A service that appends a line per effect, and recognises repeated requests by their idempotency key. */
function deed(what: string): (info: StepInfo) => string {
  return ({ idempotencyKey }) => {
    const done = existsSync(effects) ? readFileSync(effects, 'utf8').split('\n') : []
    const line = `${idempotencyKey}\t${what}`
    if (!done.includes(line)) appendFileSync(effects, `${line}\n`)
    return what
  }
}

const order = defineWorkflow({ name: 'order' }, async (ctx) => {
  await ctx.step('reserve', deed('reserve'), { compensate: (_, info) => deed('release')(info) })
  await ctx.step(
    'charge',
    (info) => {
      if (info.attempt === 1) throw new Error('The bank is busy')
      return deed('charge')(info)
    },
    { retry: { maxAttempts: 3, initialDelay: 20 }, compensate: (_, info) => deed('refund')(info) },
  )
  await ctx.sleep('50 ms')
  const answer = await ctx.message<string>('decision', { timeout: '1 h' })
  if (answer !== 'approve') throw new Error('The order was not approved')
  await ctx.step('ship', deed('ship'))
  return 'shipped'
})

let awaitPoints = 0
const point = (): void => {
  if (++awaitPoints === Number(killAt)) process.kill(process.pid, 'SIGKILL')
}

/** The driver, with an await point before and after each of its calls. */
function withAwaitPoints(driver: Driver): Driver {
  const around = async <T>(call: Promise<T>): Promise<T> => {
    const answer = await call
    point()
    return answer
  }
  return {
    ...driver,
    read: (reads, options) => (point(), around(driver.read(reads, options))),
    commit: (request, options) => (point(), around(driver.commit(request, options))),
  }
}

const holdfast = createHoldfast({ driver: withAwaitPoints(sqlite({ path: database })), durability: 'relaxed' })
const runId = 'order-17'

/** Sends the clerk's decision once the order has begun. */
async function decide(): Promise<void> {
  while (!(await holdfast.persistence.exists(runId))) await setTimeout(5)
  await holdfast.signals.sendMessage(runId, 'decision', decision, { idempotencyKey: 'decision' })
}

const [outcome] = await Promise.all([
  // A restarted worker with the same name takes its run back at once.
  run(holdfast, order, { runId, workerId: 'clerk', onError: () => {} }),
  decide(),
])
await holdfast.close()
console.log(JSON.stringify({ outcome, awaitPoints }))
