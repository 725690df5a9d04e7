/** A slice of `npm run test:fuzz`, which says what a request costs. */
import { existsSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BACKENDS, BOUNDS, fuzz, violations } from './fuzz/fuzz.ts'
import { SLICE } from './fuzz/store.ts'

/** Linux tells the peak of a process's memory, and how long it waited for a processor. */
const isMeasurable = existsSync('/proc/self/clear_refs') && existsSync('/proc/self/schedstat')

describe.skipIf(!isMeasurable)('no request', () => {
  it.each(BACKENDS)('makes a large answer, takes much memory or stops the loop, over %s', async (backend) => {
    const seed = Math.floor(Math.random() * 1e9)
    const controller = new AbortController()
    onTestFinished(() => controller.abort())
    const { signal } = controller
    // SQLite reads whole rows to compare their keys: what large values cost there, the command tells.
    const sizes = backend === 'memory' ? SLICE : { ...SLICE, large: 0 }
    const findings = await fuzz({ backend, seed, requests: 200, sizes }, { signal })
    // What stands still on a busy machine is not for a test: the command tells, run alone.
    const bounds = { ...BOUNDS, blocked: 5 * BOUNDS.blocked }
    expect([seed, violations(findings, bounds)]).toEqual([seed, []])
    expect(Object.keys(findings.kinds).length).toBeGreaterThan(15)
    // It would prove nothing if all were refused at the door.
    expect([seed, findings.statuses['200']! > 80]).toEqual([seed, true])
  })
})
