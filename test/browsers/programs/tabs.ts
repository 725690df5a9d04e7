/**
 * A tab, or the service worker that one registers, works on one database together with others. The address says at what.
 */
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import type { HoldfastError } from '../../../src/core/errors.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { openRaw } from './raw.ts'
import { QUERY, REALM, report } from './report.ts'

/** What a tab has to tell. */
export interface TabReport {
  readonly tab: number
  readonly say: 'ready' | 'done'
  /** Numbers of the events that it has appended. */
  readonly seqs?: readonly number[]
  /** Runs that it has claimed. */
  readonly claimed?: readonly string[]
  /** The outcome of a write after an upgrade. */
  readonly code?: string
}

const RUN = 'shared'
const tab = Number(QUERY.get('tab'))
const share = Number(QUERY.get('share'))
/** Appends that are under way at the same time. */
const TOGETHER = 50

const holdfast = createHoldfast({ driver: indexedDb({ name: 'tabs' }), durability: 'relaxed' })

async function append(): Promise<number[]> {
  const seqs: number[] = []
  while (seqs.length < share) {
    const events = Array.from({ length: Math.min(TOGETHER, share - seqs.length) }, () =>
      holdfast.persistence.append({ runId: RUN, workflow: 'tabs', kind: 'appended', payload: tab }),
    )
    for (const { seq } of await Promise.all(events)) seqs.push(seq)
  }
  return seqs
}

async function claim(runs: number): Promise<string[]> {
  const claimed: string[] = []
  for (let n = 0; n < runs; n++) {
    const runId = `run ${n}`
    await holdfast.workflows.prepareRun({ runId, workflow: 'tabs', policy: 'useExisting' })
    const taken = await holdfast.claims.claimTask({ runId, workerId: `tab ${tab}`, ttl: 600_000 })
    if (taken) claimed.push(runId)
  }
  return claimed
}

/** The first tab upgrades the database while all others have it open. */
async function upgrade(): Promise<string> {
  if (tab === 0) (await openRaw('tabs', 3)).close()
  // All others learn of it by the report of the first, which is answered when everybody is there.
  await report({ tab, say: 'ready' } satisfies TabReport)
  return holdfast.state.set('k', 'v').then(
    () => 'written',
    (error: Partial<HoldfastError>) => error.code ?? 'an error without code',
  )
}

async function work(): Promise<void> {
  await holdfast.db.open()
  await report({ tab, say: 'ready' } satisfies TabReport)
  const seqs = await append()
  const claimed = await claim(50)
  await report({ tab, say: 'ready' } satisfies TabReport)
  const code = await upgrade()
  await report({ tab, say: 'done', seqs, claimed, code } satisfies TabReport)
}

interface ServiceWorkerEvent {
  waitUntil(work: Promise<unknown>): void
}

interface Scope {
  readonly registration?: unknown
  addEventListener(type: 'install', listener: (event: ServiceWorkerEvent) => void): void
  readonly navigator: { readonly serviceWorker: { register(url: string): Promise<unknown> } }
}

const scope = globalThis as unknown as Scope

if (scope.registration !== undefined && REALM === 'worker') {
  // It is kept alive while it is being installed; afterwards it lives as long as the browser likes.
  scope.addEventListener('install', (event) => event.waitUntil(work()))
} else {
  const service = QUERY.get('service')
  if (service !== null) {
    void scope.navigator.serviceWorker.register(`/program.js?tab=${service}&share=${share}`)
  }
  void work()
}
