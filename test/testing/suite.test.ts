import { describe, expect, it } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import { memory } from '../../src/drivers/memory.ts'
import { equal, rejects } from '../../src/testing/assert.ts'
import { type Case, defineCase } from '../../src/testing/case.ts'
import { type Backend, cases, type Harness, runCase } from '../../src/testing/index.ts'
import { register } from '../../src/testing/suite.ts'

const harness = (backend: Partial<Backend> = {}): Harness => ({
  name: 'memory',
  create: async () => ({ driver: memory(), ...backend }),
})

/** A runner that notes what it was told. */
function runner() {
  const titles: string[] = []
  const skipped: string[] = []
  const bodies: (() => Promise<void>)[] = []
  const note = (title: string, body: () => Promise<void>): void => {
    titles.push(title)
    bodies.push(body)
  }
  return {
    titles,
    skipped,
    bodies,
    describe: (_: string, body: () => void) => body(),
    it: Object.assign(note, { skip: (title: string) => void skipped.push(title) }),
  }
}

const passing: Case = defineCase('DR-1', 'passes', async () => {})
const failing: Case = defineCase('DB-1', 'fails', async () => {
  throw new Error('as it should')
})

describe('cases', () => {
  it('have ids of their own, and say what they are about', () => {
    expect(new Set(cases.map((c) => c.id)).size).toBe(cases.length)
    expect(new Set(cases.map((c) => c.name)).size).toBe(cases.length)
    for (const { id, group, name } of cases) {
      expect(id).toMatch(/^(DR|DB|ST|PE|ID|SI|CL|WF)-\d{3,4}$/)
      expect(['driver', 'database', 'state', 'persistence', 'idempotency', 'signals', 'claims', 'workflow']).toContain(
        group,
      )
      expect(name).toMatch(/^[^.]{10,100}$/)
    }
  })

  it('of driver and database are no fewer than they were', () => {
    expect(cases.filter((c) => c.group === 'driver').length).toBeGreaterThanOrEqual(139)
    expect(cases.filter((c) => c.group === 'database').length).toBeGreaterThanOrEqual(44)
  })
})

describe('register', () => {
  it('gives every case to the runner', async () => {
    const { titles, bodies, ...rest } = runner()
    register([passing, failing], { harness: harness(), ...rest })
    expect(titles).toEqual(['DR-1 passes', 'DB-1 fails'])
    await bodies[0]!()
    await expect(bodies[1]!()).rejects.toThrow('as it should')
  })

  it('prints what is skipped, with the reason', () => {
    const lines: string[] = []
    const { titles, skipped, ...rest } = runner()
    const skip = [{ reason: 'too slow', cases: ['DR-1'] }]
    register([passing, failing], { harness: harness(), skip, log: (line) => void lines.push(line), ...rest })
    expect(titles).toEqual(['DB-1 fails'])
    expect(skipped).toEqual(['DR-1 passes (too slow)'])
    expect(lines).toEqual(['memory: skipped DR-1 passes: too slow'])
  })

  it('refuses to skip what it does not know', () => {
    const skip = [{ reason: 'renamed', cases: ['DR-2'] }]
    expect(() => register([passing], { harness: harness(), skip, ...runner() })).toThrow('DR-2')
  })
})

describe('runCase', () => {
  it('runs the opposite where a case does not apply', async () => {
    const ran: string[] = []
    const gated = defineCase('DR-3', 'durable', async () => void ran.push('case'), {
      needs: ({ durability }) => durability !== 'none',
      otherwise: async () => void ran.push('opposite'),
    })
    await runCase(gated, harness())
    expect(ran).toEqual(['opposite'])
  })

  it('closes and disposes of everything, also after a failure', async () => {
    const log: string[] = []
    const driver = memory()
    const backend: Partial<Backend> = {
      driver: { ...driver, close: async () => void log.push('close') },
      dispose: async () => void log.push('dispose'),
    }
    await runCase(passing, harness(backend))
    expect(log.splice(0)).toEqual(['close', 'dispose'])
    await expect(runCase(failing, harness(backend))).rejects.toThrow('as it should')
    expect(log.splice(0)).toEqual(['close', 'dispose'])
    const broken = { ...backend.driver!, open: () => Promise.reject(new Error('cannot open')) }
    await expect(runCase(passing, harness({ ...backend, driver: broken }))).rejects.toThrow('cannot open')
    expect(log).toEqual(['close', 'dispose'])
  })
})

describe('equal', () => {
  const cyclic: Record<string, unknown> = { a: 1 }
  cyclic['self'] = cyclic
  const same: [unknown, unknown][] = [
    [Number.NaN, Number.NaN],
    [new Uint8Array([1, 2]), Buffer.from([1, 2])],
    [new Map([[{ a: 1 }, [2]]]), new Map([[{ a: 1 }, [2]]])],
    [new Set([1, { a: 1 }]), new Set([{ a: 1 }, 1])],
    [new Date(5), new Date(5)],
    [{ a: [1, { b: null }] }, { a: [1, { b: null }] }],
    [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [cyclic, Object.assign({}, cyclic)],
  ]
  const different: [unknown, unknown][] = [
    [0, -0],
    [1, '1'],
    [null, undefined],
    [{ a: undefined }, {}],
    [{}, []],
    [[], [undefined]],
    [
      [1, 2],
      [2, 1],
    ],
    [new Uint8Array([1]), new Uint8Array([2])],
    [new Uint8Array([1]), [1]],
    [new Uint8Array([1]), new Uint16Array([1])],
    [new Map([[1, 2]]), new Map([[1, 3]])],
    [new Map(), new Set()],
    [new Set([1]), new Set([2])],
    [new Date(5), new Date(6)],
    [new Date(5), {}],
    ['', new Uint8Array(0)],
  ]
  it.each(same)('takes %o for %o', (a, b) => equal(a, b))
  it.each(different)('tells %o from %o', (a, b) => {
    expect(() => equal(a, b)).toThrow('Not equal')
    expect(() => equal({ deep: [b] }, { deep: [a] })).toThrow('Not equal')
  })
})

describe('rejects', () => {
  it('returns the error of the code, and refuses all else', async () => {
    const error = new HoldfastError('CLOSED', 'x')
    expect(await rejects(Promise.reject(error), 'CLOSED')).toBe(error)
    await expect(rejects(Promise.reject(error), 'ABORTED')).rejects.toThrow('CLOSED')
    await expect(rejects(Promise.reject(new Error('plain')), 'ABORTED')).rejects.toThrow('plain')
    await expect(rejects(Promise.resolve(1n), 'ABORTED')).rejects.toThrow('Resolved to')
  })
})
