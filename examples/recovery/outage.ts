/**
 * Scenario B: the backend is down for five seconds, under load. Calls fail fast, and callers pause. The circuit breaker
 * keeps requests away, lets one probe through now and then, and closes when a probe succeeds. The same stores then work
 * again.
 *
 *     npm run recovery:outage
 */
import { ok, strictEqual } from 'node:assert'
import { setTimeout } from 'node:timers/promises'
import { createHoldfast, isHoldfastError } from 'holdfast'
import { circuitBreaker } from 'holdfast/circuit-breaker'
import { remote } from 'holdfast/http'
import { retry } from 'holdfast/retry'
import { timeout } from 'holdfast/timeout'
import { startBackend } from './backend.ts'

const WORKERS = 8
const OUTAGE = 5000
const PAUSE = 200

const backend = await startBackend()
const start = performance.now()
const say = (text: string): void => console.log(`${((performance.now() - start) / 1000).toFixed(1)} s  ${text}`)

const states: string[] = []
const inner = remote({ url: backend.url, attempts: 1, timeout: 2000 })
const breaker = circuitBreaker(timeout(inner, { commit: 2000 }), {
  failures: 3,
  cooldown: 1000,
  onChange(state) {
    states.push(state)
    say(`the circuit is ${state}`)
  },
})
const { persistence, close } = createHoldfast({ driver: retry(breaker, { attempts: 3, deadline: 1000 }) })

const over = new AbortController()
let failures = 0
let longest = 0

/** Appends steps to its own run. After a failure it pauses and repeats the step, which the idempotency key makes safe. */
async function worker(name: string): Promise<number> {
  let step = 0
  while (!over.signal.aborted) {
    const begun = performance.now()
    try {
      await persistence.append({
        runId: name,
        workflow: 'load',
        kind: 'step',
        payload: step,
        idempotencyKey: `${step}`,
      })
      step++
      await setTimeout(5)
    } catch (error) {
      if (!isHoldfastError(error) || !(error.retryable || error.ambiguous)) throw error
      failures++
      longest = Math.max(longest, performance.now() - begun)
      await setTimeout(PAUSE)
    }
  }
  return step
}

try {
  await persistence.append({ runId: 'first', workflow: 'load', kind: 'begun' })
  const workers = Array.from({ length: WORKERS }, (_, i) => worker(`worker-${i}`))
  await setTimeout(1000)
  say('the backend is killed')
  await backend.kill()
  await setTimeout(OUTAGE)
  say('the backend is restarted')
  await backend.start()
  let tries = 1
  for (; tries <= 30; tries++) {
    const isBack = await persistence.getLatestSeq('first').then(
      () => true,
      () => false,
    )
    if (isBack) break
    await setTimeout(PAUSE)
  }
  ok(tries <= 30)
  say(`the same stores work again, at attempt ${tries}`)
  await setTimeout(1000)
  over.abort()
  const steps = await Promise.all(workers)

  ok(failures > 0 && longest < 5000)
  say(`${failures} appends failed and were repeated; the slowest failed after ${Math.round(longest)} ms`)
  strictEqual(states[0], 'open')
  ok(states.includes('half-open'))
  strictEqual(states.at(-1), 'closed')
  for (const [i, count] of steps.entries()) {
    const found: unknown[] = []
    for await (const { payload } of persistence.events(`worker-${i}`)) found.push(payload)
    strictEqual(JSON.stringify(found), JSON.stringify(Array.from({ length: count }, (_, step) => step)))
  }
  say(
    `${steps.reduce((sum, count) => sum + count, 0)} steps of ${WORKERS} runs are in the logs, each once and in order`,
  )
  console.log('Scenario B: OK')
} finally {
  await close()
  await backend.end()
}
