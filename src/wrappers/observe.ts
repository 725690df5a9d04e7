/**
 * Reports all calls of a driver to a function of yours, or to OpenTelemetry.
 *
 * @module
 */
import type { CommitAnswer, CommitRequest, Driver, ReadAnswer } from '../core/driver.ts'
import { type ErrorCode, isHoldfastError } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'

/** The start of a call. Contains no stored data. */
export interface ObservedCall {
  /** The name of the driver. */
  readonly driver: string
  readonly operation: 'open' | 'read' | 'commit' | 'close'
  /** The number of questions or commits sent together; 0 for `open` and `close`. */
  readonly batchSize: number
  /** The number of checks and ops of its commits; 0 for other operations. */
  readonly changes: number
}

/** The end of a call. */
export interface ObservedEnd {
  /** How long the call took, in milliseconds. */
  readonly duration: number
  /** The code of its error, `BACKEND` for an error of any other kind; absent if the call succeeded. */
  readonly code?: ErrorCode
  /** Whether a failed call may have taken effect. */
  readonly ambiguous: boolean
  /** The number of entries that a read returned. */
  readonly entries: number
  /** The number of commits whose checks failed. */
  readonly conflicts: number
}

/** Observes calls. Its errors are ignored. */
export interface Observer {
  /** Called before each call. May return a function, which is called at the end of the call. */
  start(call: ObservedCall): ((end: ObservedEnd) => void) | void
}

/** Options of {@link observe}. */
export interface ObserveOptions {
  /** Measures durations, in milliseconds from any start; `performance.now` by default. */
  readonly clock?: () => number
}

/**
 * Makes a driver that reports every call to an observer.
 *
 * Around `retry`, it sees the calls of the database; inside `retry`, every attempt.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param observer - the observer to report to
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

/** The parts used of a `Span`. */
export interface SpanLike {
  /** Adds an attribute. */
  setAttribute(name: string, value: string | number | boolean): unknown
  /** Sets the outcome: code 2 is an error. */
  setStatus(status: { code: number; message?: string }): unknown
  /** Ends the span now. */
  end(): void
}

/** The parts used of a `Tracer` of `@opentelemetry/api`. */
export interface TracerLike {
  /** Starts a span. Kind 2 is a client. */
  startSpan(name: string, options: { kind: number; attributes: Attributes }): SpanLike
}

/** The parts used of a histogram. */
export interface HistogramLike {
  /** Records one measurement. */
  record(value: number, attributes: Attributes): void
}

/** The parts used of a counter. */
export interface CounterLike {
  /** Adds to the count. */
  add(value: number, attributes: Attributes): void
}

/** The parts used of a `Meter` of `@opentelemetry/api`. */
export interface MeterLike {
  /** Makes a histogram, for durations and sizes. */
  createHistogram(
    name: string,
    options: { description: string; unit: string; advice: { explicitBucketBoundaries: number[] } },
  ): HistogramLike
  /** Makes a counter. */
  createCounter(name: string, options: { description: string; unit: string }): CounterLike
}

/** Options of {@link openTelemetry}. */
export interface OpenTelemetryOptions {
  /** Makes a span per call; no spans without it. */
  readonly tracer?: TracerLike
  /** Makes the metrics; no metrics without it. */
  readonly meter?: MeterLike
}

/** An observer that also has hooks for other wrappers. */
export interface Telemetry extends Observer {
  /** Counts retries. Pass it to `retry` as `onRetry`. */
  onRetry(retry: { readonly operation: string; readonly code: ErrorCode }): void
}

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR`, numbers that the API fixes. */
const CLIENT = 2
const ERROR = 2

const SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const SIZES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

/**
 * Makes an observer that reports to OpenTelemetry, with the names of the semantic conventions for database clients.
 *
 * Each call is a span of kind client, named after its operation. Metrics: `db.client.operation.duration` in seconds,
 * `db.client.response.returned_rows`, `holdfast.batch.size` in commits or questions, `holdfast.conflicts` (commits
 * whose checks failed), `holdfast.retries`, and `checkpoint_failures_total` (commit calls that threw). Attributes:
 * `db.system.name`, `db.operation.name`, and `error.type`, the error's code. Spans also have `db.operation.batch.size`
 * and `holdfast.ambiguous`. Nothing contains keys or values.
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
  const duration = histogram('db.client.operation.duration', 'Duration of a call', 's', SECONDS)
  const rows = histogram('db.client.response.returned_rows', 'Entries that a read returned', '{row}', SIZES)
  const batches = histogram('holdfast.batch.size', 'Commits or questions in one call', '{item}', SIZES)
  const counter = (name: string, description: string, unit: string) => meter?.createCounter(name, { description, unit })
  const conflicts = counter('holdfast.conflicts', 'Commits whose checks failed', '{commit}')
  const retries = counter('holdfast.retries', 'Repeated calls', '{retry}')
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
      // By the conventions, a batch has more than one operation.
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
