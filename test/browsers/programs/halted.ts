/** Two tabs on one database: one is halted in the middle of its calls, the other goes on meanwhile. */
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { QUERY, report } from './report.ts'

/** Where the code of a tab is halted. */
export type Place = 'right after each transaction was begun' | 'a moment later' | 'before it hears an answer'

/** What the tab does that is halted. */
export type Action = 'append' | 'claim' | 'set' | 'long value' | 'read'

/** What a tab has to tell. */
export interface HaltedReport {
  readonly say: 'ready' | 'done'
  readonly tab: string
  /** When it was halted, in milliseconds since 1970. */
  readonly halts?: readonly Span[]
  /** Its commits. */
  readonly commits?: readonly Span[]
  /** What was there at the end. */
  readonly found?: unknown
}

/** From a moment to another, in milliseconds since 1970. */
export type Span = readonly [from: number, to: number]

interface Store {
  get(...query: never[]): Request
  getAll(...query: never[]): Request
  openKeyCursor(...query: never[]): Request
}

interface Request {
  addEventListener(type: 'success', listener: () => void): void
}

interface Scope {
  readonly IDBDatabase: { readonly prototype: { transaction(...args: never[]): unknown } }
  readonly IDBObjectStore: { readonly prototype: Store }
}

const { IDBDatabase, IDBObjectStore } = globalThis as unknown as Scope
const HALT = 2500
/** Longer than the tab is halted, however often. */
const TIME = Number(QUERY.get('time'))
const holdfast = createHoldfast({ driver: indexedDb({ name: 'halted' }), durability: 'relaxed' })
const { state, persistence, workflows, claims } = holdfast
const meet = (): Promise<unknown> => report({ say: 'ready', tab: QUERY.get('tab')! } satisfies HaltedReport)

const halts: Span[] = []
let isArmed = false

/** As an alert does, or a breakpoint. */
function halt(): void {
  if (!isArmed) return
  isArmed = false
  const from = Date.now()
  while (Date.now() - from < HALT);
  halts.push([from, Date.now()])
}

function haltAt(place: Place): void {
  const { transaction } = IDBDatabase.prototype
  if (place !== 'before it hears an answer') {
    IDBDatabase.prototype.transaction = function (...args) {
      // Behind the code that has begun it.
      if (place === 'a moment later') setTimeout(halt, 20)
      else queueMicrotask(halt)
      return transaction.apply(this, args)
    }
    return
  }
  for (const method of ['get', 'getAll', 'openKeyCursor'] as const) {
    const ask = IDBObjectStore.prototype[method]
    IDBObjectStore.prototype[method] = function (...query) {
      const request = ask.apply(this, query)
      request.addEventListener('success', halt)
      return request
    }
  }
}

/** Each reads what this tab does not know, and writes. */
const ACTIONS: Readonly<Record<Action, (n: number) => Promise<unknown>>> = {
  append: (n) => persistence.append({ runId: `run ${n}`, workflow: 'w', kind: 'appended' }),
  async claim(n) {
    await workflows.prepareRun({ runId: `claimed ${n}`, workflow: 'w', policy: 'useExisting' })
    return claims.claimTask({ runId: `claimed ${n}`, workerId: 'halted', ttl: 600_000 })
  },
  set: (n) => state.set('theirs', String(n)),
  'long value': (n) => state.set('long', String(n).repeat(3_000_000)),
  read: () => persistence.load('run 0'),
}

/** Is halted in each of the actions. */
async function beHalted(): Promise<void> {
  haltAt(QUERY.get('place') as Place)
  await meet()
  for (const [n, action] of (QUERY.getAll('action') as Action[]).entries()) {
    isArmed = true
    await ACTIONS[action](n)
    // What has a moment left.
    await new Promise((resolve) => setTimeout(resolve, 50))
    isArmed = false
  }
}

/** Commits as fast as it can. */
async function goOn(): Promise<readonly Span[]> {
  await meet()
  const commits: Span[] = []
  for (const begin = Date.now(); Date.now() - begin < TIME;) {
    const from = Date.now()
    await state.increment('mine')
    commits.push([from, Date.now()])
  }
  return commits
}

await state.set('theirs', 'nothing')
await meet()
if (QUERY.get('tab') === 'halted') {
  await beHalted()
  await meet()
  const found = [await state.get('theirs'), (await persistence.load('run 0'))?.events.length]
  await report({ say: 'done', tab: 'halted', halts, found } satisfies HaltedReport)
} else {
  const commits = await goOn()
  await meet()
  const found = [Number(await state.get('mine')) === commits.length]
  await report({ say: 'done', tab: 'goes on', commits, found } satisfies HaltedReport)
}
