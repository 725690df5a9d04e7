/** A caller that is stopped between two attempts, by the system and for real. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { EntryPage } from '../../../src/core/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { createHandler } from '../../../src/served/http/index.ts'
import { spyOn } from '../../../src/testing/spy.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { authorize, listen } from './support.ts'

/** Half of the window that the caller counts on, in milliseconds. */
const PATIENCE = 6500

/** Stops a caller for so long after its first attempt was executed, and its answer lost; what it is told, and how often it came. */
async function stopped(ms: number): Promise<{ told: unknown; arrivals: number; executed: number }> {
  const spy = spyOn(replay(memory()))
  const handler = createHandler(spy.driver, { authorize })
  let arrivals = 0
  const server = await listen(async (request) => {
    const response = await handler(request)
    if (++arrivals > 1) return response
    child.kill('SIGSTOP')
    void setTimeout(ms).then(() => child.kill('SIGCONT'))
    return new Response(new ReadableStream({ pull: (it) => it.error(new Error('cut')) }), response)
  })
  onTestFinished(server.close)
  const child = fork(join(import.meta.dirname, 'stopped-caller.ts'), [server.url], { execArgv: ['--import', 'tsx'] })
  const [[told]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
  const { answers } = await spy.driver.read([
    { range: { part: 'acme!!p', start: 'log!', end: 'log"', limit: 9, keysOnly: true } },
  ])
  return { told, arrivals, executed: (answers[0] as EntryPage).entries.length }
}

describe.skipIf(process.platform === 'win32')('a caller that is stopped between two attempts', () => {
  it('for a moment asks again', async () => {
    expect(await stopped(100)).toEqual({ told: { outcomes: [{ ok: true, seqs: [1] }] }, arrivals: 2, executed: 1 })
  })

  it('for longer than half of the window does not ask again, and says that it does not know', async () => {
    expect(await stopped(PATIENCE + 500)).toEqual({
      told: { code: 'UNAVAILABLE', ambiguous: true },
      arrivals: 1,
      executed: 1,
    })
  })
})
