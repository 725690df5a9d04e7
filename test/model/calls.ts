/** Random calls of the stores, as data: few runs, keys and contents, so that they meet. */
import fc from 'fast-check'
import { isHoldfastError } from '../../src/core/errors.ts'
import type { Holdfast } from '../../src/holdfast.ts'
import { plain } from './plain.ts'
import { START } from './requests.ts'

export interface Call {
  readonly store: 'state' | 'persistence' | 'workflows' | 'signals' | 'timers' | 'claims' | 'idempotency'
  readonly method: string
  readonly args: readonly unknown[]
}

/** One client makes a call, or several at once; or time passes. */
export type Step =
  | { readonly client: number; readonly call: Call }
  | { readonly burst: readonly { readonly client: number; readonly call: Call }[] }
  | { readonly advance: number }

/** Longer than any call takes, in milliseconds. */
const PATIENCE = 20_000

/** What a call came to: its result, or the code of its error. Iterators are read to their end. */
export async function outcomeOf(holdfast: Holdfast, call: Call): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No end of ${JSON.stringify(call)}`)), PATIENCE)
  })
  try {
    return await Promise.race([make(holdfast, call), late])
  } finally {
    clearTimeout(timer)
  }
}

async function make(holdfast: Holdfast, { store, method, args }: Call): Promise<unknown> {
  try {
    const result: unknown = await Reflect.get(holdfast[store], method)(...args)
    // A claim is not to be told from others like it.
    if (method.endsWith('Claim') || method === 'claimTask') return { is: plain(result && { ...result, id: '' }) }
    if (typeof result !== 'object' || result === null || !(Symbol.asyncIterator in result)) return { is: plain(result) }
    const items: unknown[] = []
    for await (const item of result as AsyncIterable<unknown>) items.push(item)
    return { is: plain(items) }
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    return { throws: error.code }
  }
}

const some = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
/** Every member may be left out but those named. */
const options = <T>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }, ...required: (keyof T)[]) =>
  fc.record<T, keyof T>(members, { requiredKeys: required })

const key = some('k', 'k!', 'ké', '0')
const runId = some('r1', 'r1', 'r2', 'r 2')
const raw = some<string | Uint8Array>('', '5', '-1', 'x', 'a\0b', new Uint8Array([0xf5, 0]), new Uint8Array([1, 2]))
const structured = some<unknown>(
  null,
  undefined,
  0,
  'x',
  { a: [1, { b: 'c' }] },
  { at: new Date(5), big: 7n, map: new Map([['k', new Set([Number.NaN])]]), bytes: new Uint8Array([0, 255]) },
)
const scope = { runId: some('r1', 'r2') }
const ttl = { ttl: some(1, 10, 1000) }
const limit = { limit: some(1, 2, 100) }
const status = some('running', 'paused', 'completed', 'failed')

const eventMembers = {
  kind: some('a', 'b'),
  stepId: some('s'),
  definitionVersion: some('1', '2'),
  payload: structured,
  seq: some(1, 2, 3),
  idempotencyKey: some('i1', 'i2', 'i3'),
}
const event = options(eventMembers, 'kind')
const workflow = some('w', 'w', 'w', 'v')
const newEvent = fc.tuple(event, runId, workflow).map(([event, runId, workflow]) => ({ ...event, runId, workflow }))
const batch = fc
  .tuple(fc.array(event, { minLength: 1, maxLength: 3 }), runId, workflow, fc.boolean())
  .map(([events, runId, workflow, numbered]) => {
    const first = events[0]!.seq ?? 1
    return events.map((event, i) => ({ ...event, runId, workflow, seq: numbered ? first + i : undefined }))
  })
const expectedSeq = options({ expectedSeq: some(0, 1, 2, 3) })
const snapshot = options({ runId, state: structured, status, throughSeq: some(0, 1, 5) }, 'runId', 'state')

const of =
  <S extends Call['store']>(store: S) =>
  (method: keyof Holdfast[S] & string, ...args: fc.Arbitrary<unknown>[]): fc.Arbitrary<Call> =>
    fc.tuple(...args).map((args) => ({ store, method, args }))
const [state, persistence, workflows] = [of('state'), of('persistence'), of('workflows')]
const [signals, timers, claims, idempotency] = [of('signals'), of('timers'), of('claims'), of('idempotency')]

const stepId = some('s', 't')
const name = some('m', 'n')
const signalKind = some('cancel', 'pause')
const wakeAt = some(1, START + 5, START + 500)
const next = some('t', undefined)
const waiting = fc.oneof(
  options({ kind: some('delay'), stepId, wakeAt, next }, 'kind', 'stepId', 'wakeAt'),
  options({ kind: some('fork'), stepId, branches: some(['s', 't']), wakeAt }, 'kind', 'stepId', 'branches'),
)
const step = options({ kind: some('step'), stepId }, 'kind', 'stepId')
const message = options({ kind: some('message'), stepId, name, wakeAt, next }, 'kind', 'stepId', 'name')
const fields = {
  position: fc.oneof(waiting, step, fc.constant(null)),
  priority: some(1, 3, 5),
  tags: some([], ['gpu'], ['eu', 'gpu']),
  status: some('pending', 'running', 'paused', 'failed'),
}
const started = options(
  { runId, workflow, definitionHash: some('h', 'i'), input: structured, context: some({ a: 1 }), ...fields },
  'runId',
  'workflow',
)
const policy = some('fail', 'useExisting', 'terminateExisting')
const stepStatus = some('pending', 'running', 'waiting', 'completed', 'failed')
const stepMembers = { stepId, status: stepStatus, result: structured, error: some('e'), waitId: some('w1', 'w2') }
const compensation = options({ runId, workflow, kind: some('failed'), stepId }, 'runId', 'workflow', 'kind')

/** One round trip is one moment; these take several. */
const lists: readonly fc.Arbitrary<Call>[] = [
  state('keys', options({ ...limit, ...scope, prefix: some('k') })),
  state('snapshots', options(limit)),
  persistence('events', runId, options({ ...limit, after: some(0, 1) })),
  workflows('listSteps', runId, options(limit)),
  workflows('findStepByWaitId', some('w1', 'w2')),
  timers('advanceDue', options(limit)),
  claims('findAvailableTasks', options({ workerId: some('a'), tags: some(['gpu']), ...limit }, 'workerId')),
  idempotency('purgeOlderThan', some(START + 1, START + 1000)),
]

const single: readonly fc.Arbitrary<Call>[] = [
  state('set', key, raw, options({ ...ttl, ...scope })),
  state('get', key, options(scope)),
  state('getMany', fc.array(key, { maxLength: 3 }), options(scope)),
  state('delete', key, options(scope)),
  state('exists', key, options(scope)),
  state('setJson', key, structured, options({ ...ttl, ...scope })),
  state('getJson', key, options(scope)),
  state('setIfAbsent', key, raw, options({ ...ttl, ...scope })),
  state('increment', key, options({ by: some(1, -1, 5, 0), ...ttl, ...scope })),
  state('increment', key),
  state('getAndDelete', key, options(scope)),
  state('listKeys', options({ ...limit, ...scope, prefix: some('k', 'k!') })),
  state('saveSnapshot', snapshot, options({ expectedVersion: some(0, 1, 2) })),
  state('saveSnapshot', snapshot),
  state('loadSnapshot', runId),
  state('deleteSnapshot', runId),
  state('listSnapshots', options(limit)),
  state('deleteExecutionState', runId),
  persistence('append', newEvent, expectedSeq),
  persistence('append', newEvent),
  persistence('appendBatch', batch, expectedSeq),
  persistence('load', runId),
  persistence('loadEvents', runId, options(limit)),
  persistence('loadEventsAfter', runId, some(0, 1, 2), options(limit)),
  persistence('getLatestSeq', runId),
  persistence('exists', runId),
  persistence('resume', runId, some(0, 1, 2, 9)),
  persistence('complete', runId, some('completed', 'completed', 'failed'), options({ event })),
  workflows('createRun', started),
  workflows(
    'prepareRun',
    fc.tuple(started, policy).map(([run, policy]) => ({ ...run, policy })),
  ),
  workflows('getRun', runId),
  workflows('listRuns', options({ ...limit, status: some('pending', 'running', 'waiting', 'completed'), workflow })),
  workflows('updateRun', runId, options(fields)),
  workflows('failTask', runId, stepId, options({ error: some('e'), retryAt: wakeAt }, 'error')),
  workflows('updateContext', runId, some<unknown>({ b: 2 }, {}, [1], 'text'), options({ expectedVersion: some(0, 1) })),
  workflows('patchContext', runId, some({ c: 3 }, { a: 0 })),
  workflows('deleteRun', runId),
  workflows('upsertStep', runId, options(stepMembers, 'stepId')),
  workflows('patchStep', runId, stepId, options({ status: stepStatus, result: structured })),
  workflows('getStep', runId, stepId),
  workflows('saveTaskResult', runId, stepId, structured, options({ overwrite: some(true) })),
  workflows('loadTaskResult', runId, stepId),
  workflows('completeWait', some('w1', 'w2'), options({ result: structured, context: some({ d: 4 }) })),
  signals('storeSignal', runId, signalKind, options({ reason: some('r') })),
  signals('getSignal', runId, signalKind),
  signals('clearSignal', runId, signalKind),
  signals('checkAndCancel', runId),
  signals('checkAndPause', runId),
  signals('checkControlSignals', runId),
  signals('unpause', runId),
  signals('sendMessage', runId, name, structured, options({ idempotencyKey: some('i1', 'i2') })),
  signals('sendMessage', runId, name, structured),
  signals('consumeMessage', runId, name),
  signals('deliver', runId, name, options({ stepId, position: fc.oneof(waiting, step) }, 'stepId')),
  signals('park', runId, message),
  signals('listMessages', runId, name, options(limit)),
  timers('nextDue'),
  claims(
    'claimTask',
    options({ runId, stepId, workerId: some('a', 'b'), ttl: some(0, 10, 1000) }, 'runId', 'workerId'),
  ),
  claims('forceReleaseClaim', runId, options({ stepId })),
  claims('getClaim', runId, options({ stepId })),
  idempotency('wasCompensated', compensation),
  idempotency('markCompensated', compensation, options(ttl)),
  persistence('saveIntervention', runId, options({ targetStep: some('s'), payload: structured }, 'targetStep')),
  persistence('consumeIntervention', runId),
]

const client = some(0, 1)

/** Calls one after the other, by two clients of the same data. */
export const sequences: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ client, call: fc.oneof(...single, ...lists) }) },
    { weight: 1, arbitrary: fc.record({ advance: some(1, 9, 1000) }) },
  ),
  { minLength: 1, maxLength: 40, size: 'max' },
)

/** Also several calls at once. */
export const bursts: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ client, call: fc.oneof(...single) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        burst: fc.array(fc.record({ client, call: fc.oneof(...single) }), { minLength: 2, maxLength: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ advance: some(1, 9, 1000) }) },
  ),
  { minLength: 1, maxLength: 12, size: 'max' },
)
