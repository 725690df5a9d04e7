import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import {
  AggregationTemporality,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { describe, expect, onTestFinished, test } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import { late } from '../../src/core/request-records.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { type ObservedCall, type ObservedEnd, observe, openTelemetry } from '../../src/wrappers/observe.ts'
import { retry } from '../../src/wrappers/retry.ts'
import {
  append,
  at,
  conformanceOver,
  entriesOf,
  errorOf,
  get,
  manualTime,
  put,
  request,
  unavailable,
} from './support.ts'

conformanceOver('memory, observed', (driver) => observe(driver, { start: () => () => {} }))

const lost = () => {
  const it = request(append('never'))
  return { ...it, commits: [...it.commits, { ...it.commits[0]!, checks: [{ at: at('k'), version: 'none' }] }] }
}

describe('an observer', () => {
  function setting() {
    const time = manualTime()
    const spy = spyOn(memory())
    const seen: [ObservedCall, ObservedEnd | undefined][] = []
    const start = (call: ObservedCall) => {
      const pair: (typeof seen)[number] = [call, undefined]
      seen.push(pair)
      time.pass(7)
      return (end: ObservedEnd) => void (pair[1] = end)
    }
    return { time, spy, seen, driver: observe(spy.driver, { start }, { clock: time.clock }) }
  }

  test('is told of every call, how large it is and how it ended', async () => {
    const { seen, driver } = setting()
    await driver.open()
    await driver.commit(request(put('a', 'secret'), put('b', 'secret')))
    await driver.commit(lost())
    await entriesOf(driver)
    await driver.read([{ get: at('a') }, { get: at('nothing') }, { parts: { start: ' ', end: '~~', limit: 9 } }])
    await driver.close()
    const fine = { duration: 0, ambiguous: false, entries: 0, conflicts: 0 }
    const call = { driver: 'memory', batchSize: 0, changes: 0 }
    expect(seen).toEqual([
      [{ ...call, operation: 'open' }, fine],
      [{ ...call, operation: 'commit', batchSize: 1, changes: 2 }, fine],
      [
        { ...call, operation: 'commit', batchSize: 2, changes: 3 },
        { ...fine, conflicts: 1 },
      ],
      [
        { ...call, operation: 'read', batchSize: 1 },
        { ...fine, entries: 3 },
      ],
      [
        { ...call, operation: 'read', batchSize: 3 },
        { ...fine, entries: 1 },
      ],
      [{ ...call, operation: 'close' }, fine],
    ])
    expect(JSON.stringify(seen)).not.toContain('secret')
  })

  test('is told of failures, and the caller gets them', async () => {
    const { seen, spy, driver } = setting()
    const bare = new Error('A bare one')
    spy.fail('commit', unavailable({}, true), bare)
    spy.fail('read', bare)
    expect((await errorOf(driver.commit(request(put('k', 'v'))))).code).toBe('UNAVAILABLE')
    await expect(driver.commit(request(put('k', 'v')))).rejects.toBe(bare)
    await expect(driver.read([])).rejects.toBe(bare)
    expect(seen.map(([, end]) => [end?.code, end?.ambiguous])).toEqual([
      ['UNAVAILABLE', true],
      ['BACKEND', true],
      ['BACKEND', false],
    ])
  })

  test('is told of trims, and of what was refused before it was tried', async () => {
    const { seen, spy, driver } = setting()
    await driver.commit(request(append('a'), append('b')))
    await driver.commit(request({ trim: at('log!'), through: 1 }, append('c')))
    spy.fail('commit', new HoldfastError('OVERLOADED', 'Too much', { retryable: true }), late(0))
    for (const code of ['OVERLOADED', 'UNAVAILABLE']) {
      expect((await errorOf(driver.commit(request(put('k', 'v'))))).code).toBe(code)
    }
    expect((await entriesOf(driver)).length).toBe(3)
    expect(seen.map(([{ changes }, end]) => [changes, end?.code, end?.ambiguous, end?.entries])).toEqual([
      [2, undefined, false, 0],
      [2, undefined, false, 0],
      [1, 'OVERLOADED', false, 0],
      [1, 'UNAVAILABLE', false, 0],
      [0, undefined, false, 3],
    ])
  })

  test('changes no outcome by what it throws', async () => {
    const fail = (): never => {
      throw new Error('A defect of the observer')
    }
    for (const start of [fail, () => fail]) {
      const driver = observe(memory(), { start })
      await driver.commit(request(put('k', 'v')))
      expect((await get(driver, 'k'))?.value).toBe('v')
    }
  })

  test('measures from before the call to after it', async () => {
    const time = manualTime()
    const inner = memory()
    const slow = { ...inner, open: async () => time.pass(250) }
    const ends: ObservedEnd[] = []
    await observe(slow, { start: () => (end) => void ends.push(end) }, { clock: time.clock }).open()
    expect(ends.map((end) => end.duration)).toEqual([250])
  })
})

describe('OpenTelemetry', () => {
  function setting() {
    const spans = new InMemorySpanExporter()
    const traces = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e8, exportTimeoutMillis: 1e7 })
    const meters = new MeterProvider({ readers: [reader] })
    onTestFinished(async () => {
      await meters.shutdown()
      await traces.shutdown()
    })
    const telemetry = openTelemetry({ tracer: traces.getTracer('test'), meter: meters.getMeter('test') })
    const spy = spyOn(memory())
    const retried = retry(spy.driver, { onRetry: telemetry.onRetry, ...manualTime() })
    async function exported() {
      await reader.forceFlush()
      return exporter
        .getMetrics()
        .at(-1)!
        .scopeMetrics.flatMap((scope) => scope.metrics)
    }
    async function metrics() {
      return Object.fromEntries(
        (await exported()).map(({ descriptor, dataPoints }) => [
          descriptor.name,
          dataPoints.map(({ attributes, value }) => [attributes, typeof value === 'number' ? value : value.count]),
        ]),
      )
    }
    return { spans, exported, metrics, spy, driver: observe(retried, telemetry) }
  }

  test('gets a span per call, in the names of the conventions', async () => {
    const { spans, spy, driver } = setting()
    await driver.commit(lost())
    spy.fail('commit', new HoldfastError('BACKEND', 'Broken: secret', { ambiguous: true }))
    await errorOf(driver.commit(request(put('k', 'secret'))))
    expect(
      spans.getFinishedSpans().map(({ name, kind, attributes, status }) => ({ name, kind, attributes, status })),
    ).toEqual([
      {
        name: 'commit',
        kind: SpanKind.CLIENT,
        attributes: { 'db.system.name': 'memory', 'db.operation.name': 'commit', 'db.operation.batch.size': 2 },
        status: { code: SpanStatusCode.UNSET },
      },
      {
        name: 'commit',
        kind: SpanKind.CLIENT,
        attributes: {
          'db.system.name': 'memory',
          'db.operation.name': 'commit',
          'error.type': 'BACKEND',
          'holdfast.ambiguous': true,
        },
        status: { code: SpanStatusCode.ERROR, message: 'BACKEND' },
      },
    ])
  })

  test('gets latencies, batch sizes, rows, conflicts, retries and failed checkpoints', async () => {
    const { metrics, spy, driver } = setting()
    spy.fail('commit', unavailable(), unavailable())
    await driver.commit(lost())
    spy.fail('commit', new HoldfastError('READ_ONLY', 'No'))
    await errorOf(driver.commit(request(put('k', 'v'))))
    await entriesOf(driver)
    const commit = { 'db.system.name': 'memory', 'db.operation.name': 'commit' }
    const read = { 'db.system.name': 'memory', 'db.operation.name': 'read' }
    expect(await metrics()).toEqual({
      'db.client.operation.duration': [
        [commit, 1],
        [{ ...commit, 'error.type': 'READ_ONLY' }, 1],
        [read, 1],
      ],
      'db.client.response.returned_rows': [[read, 1]],
      'holdfast.batch.size': [
        [commit, 2],
        [read, 1],
      ],
      'holdfast.conflicts': [[commit, 1]],
      'holdfast.retries': [[{ 'db.operation.name': 'commit', 'error.type': 'UNAVAILABLE' }, 2]],
      checkpoint_failures_total: [[{ ...commit, 'error.type': 'READ_ONLY' }, 1]],
    })
  })

  test('exports units, and buckets that suit what is measured', async () => {
    const { exported, spy, driver } = setting()
    spy.fail('commit', unavailable())
    await driver.commit(lost())
    spy.fail('commit', new HoldfastError('READ_ONLY', 'No'))
    await errorOf(driver.commit(request(put('k', 'v'))))
    await entriesOf(driver)
    const found = (await exported()).map(({ descriptor, dataPoints: [first] }) => {
      const { value } = first!
      const buckets = typeof value === 'number' ? undefined : (value as Histogram).buckets.boundaries
      return [descriptor.name, [descriptor.unit, buckets]]
    })
    const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    expect(Object.fromEntries(found)).toEqual({
      'db.client.operation.duration': ['s', [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]],
      'db.client.response.returned_rows': ['{row}', sizes],
      'holdfast.batch.size': ['{item}', sizes],
      'holdfast.conflicts': ['{commit}', undefined],
      'holdfast.retries': ['{retry}', undefined],
      checkpoint_failures_total: ['{request}', undefined],
    })
  })

  test('works with a tracer alone, a meter alone, or neither', async () => {
    const driver = observe(memory(), openTelemetry({}))
    await driver.commit(request(put('k', 'v')))
    expect((await get(driver, 'k'))?.value).toBe('v')
    openTelemetry({}).onRetry({ operation: 'read', code: 'UNAVAILABLE' })
  })
})
