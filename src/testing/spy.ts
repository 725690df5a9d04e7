/** A driver wrapper that counts, holds back and breaks requests. @module */
import type { Capabilities, CommitRequest, Driver, Limits, Read } from '../core/driver.ts'

/** Recorded requests, and controls. */
export interface Spy {
  readonly driver: Driver
  readonly commits: CommitRequest[]
  readonly reads: (readonly Read[])[]
  readonly signals: (AbortSignal | undefined)[]
  opens: number
  closes: number
  /** Holds back every request, or every opening, from now until {@link release}. */
  hold(what?: 'requests' | 'open'): void
  /** Lets held requests pass, and all later ones. */
  release(): void
  /** Resolves when this many requests have arrived, counting commits and reads together. */
  arrived(n: number): Promise<void>
  /** Makes the next calls of this kind throw these errors, one each. */
  fail(call: 'open' | 'commit' | 'read', ...errors: unknown[]): void
}

/** Settings of a spy. */
export interface SpyOptions {
  readonly limits?: Partial<Limits>
  readonly durability?: Capabilities['durability']
  readonly timeout?: number
  /** Added to the clock of the backend. */
  readonly ahead?: number
}

/** Wraps a driver in a spy. */
export function spyOn(driver: Driver, { limits = {}, durability, timeout, ahead = 0 }: SpyOptions = {}): Spy {
  const capabilities: Capabilities = {
    ...driver.capabilities,
    limits: { ...driver.capabilities.limits, ...limits },
    durability: durability ?? driver.capabilities.durability,
    ...(timeout !== undefined && { timeout }),
  }
  const failures = { open: [] as unknown[], commit: [] as unknown[], read: [] as unknown[] }
  let gate: { what: 'requests' | 'open'; wait: Promise<void>; open: () => void } | undefined
  let waiting: { n: number; resolve: () => void }[] = []

  async function pass(call: keyof typeof failures): Promise<void> {
    if (call !== 'open') {
      const count = spy.commits.length + spy.reads.length
      for (const { n, resolve } of waiting) if (n <= count) resolve()
      waiting = waiting.filter(({ n }) => n > count)
    }
    if (gate !== undefined && (gate.what === 'open') === (call === 'open')) await gate.wait
    if (failures[call].length > 0) throw failures[call].shift()
  }

  const spy: Spy = {
    commits: [],
    reads: [],
    signals: [],
    opens: 0,
    closes: 0,
    hold(what = 'requests') {
      let open: (() => void) | undefined
      const wait = new Promise<void>((resolve) => (open = resolve))
      gate = { what, wait, open: () => open?.() }
    },
    release() {
      gate?.open()
      gate = undefined
    },
    arrived: (n) =>
      spy.commits.length + spy.reads.length >= n
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ n, resolve })),
    fail: (call, ...errors) => void failures[call].push(...errors),
    driver: {
      name: driver.name,
      capabilities,
      async open(options) {
        spy.opens++
        await pass('open')
        await driver.open(options)
      },
      async commit(request, options) {
        spy.commits.push(request)
        spy.signals.push(options?.signal)
        await pass('commit')
        const { deadline } = request
        const answer = await driver.commit(
          deadline === undefined ? request : { ...request, deadline: deadline - ahead },
          options,
        )
        return { ...answer, now: answer.now + ahead }
      },
      async read(reads, options) {
        spy.reads.push(reads)
        spy.signals.push(options?.signal)
        await pass('read')
        const answer = await driver.read(reads, options)
        return { ...answer, now: answer.now + ahead }
      },
      async close() {
        spy.closes++
        await driver.close()
      },
      ...(driver.watch && { watch: (listener: (parts: readonly string[]) => void) => driver.watch!(listener) }),
    },
  }
  return spy
}
