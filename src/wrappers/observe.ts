/**
 * Tells what passes through a driver: to a function of one's own, or to OpenTelemetry.
 *
 * @module
 */
import type { CommitAnswer, CommitRequest, Driver, ReadAnswer } from '../core/driver.ts'
import { type ErrorCode, isHoldfastError } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'

/** A call that begins: what is asked for, never what is stored. */
export interface ObservedCall {
  /** The name of the driver. */
  readonly driver: string
  readonly operation: 'open' | 'read' | 'commit' | 'close'
  /** How many questions or commits travel together; 0 for `open` and `close`. */
  readonly batchSize: number
  /** How many checks and ops its commits have; 0 for anything else. */
  readonly changes: number
}

/** How a call ended. */
export interface ObservedEnd {
  /** In milliseconds. */
  readonly duration: number
  /** What it failed with: `BACKEND` for what is no error of this package. */
  readonly code?: ErrorCode
  /** Whether a failed call may have taken effect all the same. */
  readonly ambiguous: boolean
  /** Entries that a read gave. */
  readonly entries: number
  /** Commits that lost a race: their checks did not hold. */
  readonly conflicts: number
}

/** Watches calls. What it throws is ignored. */
export interface Observer {
  /** Told before each call; what it returns is told how the call ended. */
  start(call: ObservedCall): ((end: ObservedEnd) => void) | void
}

/** Options of {@link observe}. */
export interface ObserveOptions {
  /** Measures durations, in milliseconds from any moment; `performance.now` by default. */
  readonly clock?: () => number
}

/**
 * Makes a driver that tells an observer of every call to another.
 *
 * Above `retry` it sees the calls of the database, underneath every attempt.
 *
 * @param driver - the one underneath; closing this closes it
 * @param observer - who is told
 * @param options - the clock
 * @returns the driver, with the capabilities of the one underneath
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { observe } from 'holdfast/observe'
 *
 * const start = ({ operation, batchSize }: { operation: string; batchSize: number }) => console.log(operation, batchSize)
 * const { state } = createHoldfast({ driver: observe(memory(), { start }) })
 * await Promise.all([state.set('a', '1'), state.set('b', '2')]) // the console shows: commit 2
 * ```
 */
export function observe(
  driver: Driver,
  observer: Observer,
  { clock = () => performance.now() }: ObserveOptions = {},
): Driver {
  async function watch<T>(
    operation: ObservedCall['operation'],
    call: () => Promise<T>,
    size: Pick<ObservedCall, 'batchSize' | 'changes'> = { batchSize: 0, changes: 0 },
    found: (answer: T) => Partial<ObservedEnd> = () => ({}),
  ): Promise<T> {
    let onEnd: ((end: ObservedEnd) => void) | void
    tell((it) => void (onEnd = observer.start(it)), { driver: driver.name, operation, ...size })
    const start = clock()
    const end = (outcome: Partial<ObservedEnd>): void =>
      tell(onEnd ?? undefined, {
        duration: clock() - start,
        ambiguous: false,
        entries: 0,
        conflicts: 0,
        ...outcome,
      })
    try {
      const answer = await call()
      end(found(answer))
      return answer
    } catch (error) {
      end(
        isHoldfastError(error)
          ? { code: error.code, ambiguous: error.ambiguous }
          : { code: 'BACKEND', ambiguous: operation === 'commit' },
      )
      throw error
    }
  }

  return {
    ...driver,
    open: (options) => watch('open', () => driver.open(options)),
    read: (reads, options) =>
      watch('read', () => driver.read(reads, options), { batchSize: reads.length, changes: 0 }, entriesOf),
    commit: (request, options) => watch('commit', () => driver.commit(request, options), sizeOf(request), conflictsOf),
    close: () => watch('close', () => driver.close()),
  }
}

const sizeOf = ({ commits }: CommitRequest): Pick<ObservedCall, 'batchSize' | 'changes'> => ({
  batchSize: commits.length,
  changes: commits.reduce((sum, { checks, ops }) => sum + checks.length + ops.length, 0),
})

const entriesOf = ({ answers }: ReadAnswer): Partial<ObservedEnd> => ({
  entries: answers.reduce(
    (sum, it) => sum + (it === null || 'parts' in it ? 0 : 'entries' in it ? it.entries.length : 1),
    0,
  ),
})

const conflictsOf = ({ outcomes }: CommitAnswer): Partial<ObservedEnd> => ({
  conflicts: outcomes.filter((outcome) => !outcome.ok).length,
})

/** Attributes of spans and measurements. */
export type Attributes = Readonly<Record<string, string | number | boolean>>

/** What is used of a `Span`. */
export interface SpanLike {
  /** Adds to it what is known of the call. */
  setAttribute(name: string, value: string | number | boolean): unknown
  /** Says how it ended: code 2 is an error. */
  setStatus(status: { code: number; message?: string }): unknown
  /** Ends it now. */
  end(): void
}

/** What is used of a `Tracer` of `@opentelemetry/api`. */
export interface TracerLike {
  /** Begins a span; kind 2 is a client's. */
  startSpan(name: string, options: { kind: number; attributes: Attributes }): SpanLike
}

/** What is used of an instrument that is recorded with. */
export interface HistogramLike {
  /** Records one measurement. */
  record(value: number, attributes: Attributes): void
}

/** What is used of an instrument that counts. */
export interface CounterLike {
  /** Counts so many more. */
  add(value: number, attributes: Attributes): void
}

/** What is used of a `Meter` of `@opentelemetry/api`. */
export interface MeterLike {
  /** Makes an instrument for durations and sizes. */
  createHistogram(
    name: string,
    options: { description: string; unit: string; advice: { explicitBucketBoundaries: number[] } },
  ): HistogramLike
  /** Makes an instrument that counts. */
  createCounter(name: string, options: { description: string; unit: string }): CounterLike
}

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions {
  /** For a span per call; none are made without it. */
  readonly tracer?: TracerLike
  /** For metrics; none are made without it. */
  readonly meter?: MeterLike
}

/** An observer, and the hooks of other wrappers. */
export interface Telemetry extends Observer {
  /** Counts retries: hand it to `retry` as `onRetry`. */
  onRetry(retry: { readonly operation: string; readonly code: ErrorCode }): void
}

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR`: numbers that the API fixes. */
const CLIENT = 2
const ERROR = 2

const SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

/**
 * Makes an observer that tells OpenTelemetry, in the names of the semantic conventions for database clients.
 *
 * Each call is a span of kind client, named by its operation. Metrics: `db.client.operation.duration` in seconds,
 * `db.client.response.returned_rows`, `holdfast.batch.size` in commits or questions, `holdfast.conflicts` (commits that
 * lost a race), `holdfast.retries`, and `checkpoint_failures_total` (commits that threw). Attributes:
 * `db.system.name`, `db.operation.name`, `error.type`, which is the error's code; on spans also
 * `db.operation.batch.size` and `holdfast.ambiguous`. Keys and values are in none of them.
 *
 * @param options - the tracer, the meter, or both, of `@opentelemetry/api`
 * @returns an observer for {@link observe}
 *
 * @example
 * ```ts
 * import { metrics, trace } from '@opentelemetry/api'
 * import { createHoldfast, memory } from 'holdfast'
 * import { observe, openTelemetry } from 'holdfast/observe'
 * import { retry } from 'holdfast/retry'
 *
 * const telemetry = openTelemetry({ tracer: trace.getTracer('app'), meter: metrics.getMeter('app') })
 * const driver = observe(retry(memory(), { onRetry: telemetry.onRetry }), telemetry)
 * const { state } = createHoldfast({ driver })
 * await state.set('greeting', 'hello')
 * ```
 */
export function openTelemetry({ tracer, meter }: OpenTelemetryOptions): Telemetry {
  const histogram = (name: string, description: string, unit: string, explicitBucketBoundaries: number[]) =>
    meter?.createHistogram(name, { description, unit, advice: { explicitBucketBoundaries } })
  const duration = histogram('db.client.operation.duration', 'How long a call took', 's', SECONDS)
  const rows = histogram('db.client.response.returned_rows', 'Entries that a read gave', '{row}', SIZES)
  const batches = histogram('holdfast.batch.size', 'What travels in one call', '{item}', SIZES)
  const counter = (name: string, description: string, unit: string) => meter?.createCounter(name, { description, unit })
  const conflicts = counter('holdfast.conflicts', 'Commits that lost a race', '{commit}')
  const retries = counter('holdfast.retries', 'Calls that are made again', '{retry}')
  const failures = counter('checkpoint_failures_total', 'Commits that threw', '{request}')

  function endSpan(span: SpanLike | undefined, { code, ambiguous }: ObservedEnd): void {
    if (code !== undefined) {
      span?.setAttribute('error.type', code)
      span?.setAttribute('holdfast.ambiguous', ambiguous)
      span?.setStatus({ code: ERROR, message: code })
    }
    span?.end()
  }

  return {
    start({ driver, operation, batchSize }) {
      const call = { 'db.system.name': driver, 'db.operation.name': operation }
      // As the conventions want it: a batch is more than one.
      const batch = batchSize > 1 ? { 'db.operation.batch.size': batchSize } : {}
      const span = tracer?.startSpan(operation, { kind: CLIENT, attributes: { ...call, ...batch } })
      return (end) => {
        endSpan(span, end)
        const attributes = end.code === undefined ? call : { ...call, 'error.type': end.code }
        duration?.record(end.duration / 1000, attributes)
        if (batchSize > 0) batches?.record(batchSize, call)
        if (operation === 'read' && end.code === undefined) rows?.record(end.entries, call)
        if (operation === 'commit' && end.code !== undefined) failures?.add(1, attributes)
        if (end.conflicts > 0) conflicts?.add(end.conflicts, call)
      }
    },
    onRetry: ({ operation, code }) => retries?.add(1, { 'db.operation.name': operation, 'error.type': code }),
  }
}
