import { describe, expect, it, vi } from 'vitest'
import {
  type DefinitionMigration,
  type MigrationStrategy,
  definitionHash,
  definitionMigrations,
} from '../../src/policies/definitions.ts'
import type { Position } from '../../src/runs/status.ts'
import { structured } from '../../src/testing/stores.ts'

const at = (stepId: string): Position => ({ kind: 'step', stepId })
const hop = (from: string, to: string, strategy?: DefinitionMigration['strategy']): DefinitionMigration =>
  strategy === undefined ? { from, to } : { from, to, strategy }
const keep = { kind: 'keep' } as const
const restart = { kind: 'restart' } as const
const move = (from: string, to: string): MigrationStrategy => ({ kind: 'moveStep', from, to })
const mismatch = (details: object) => expect.objectContaining({ code: 'DEFINITION_MISMATCH', details })
const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

/** The versions that a way goes through. */
const way = (migrations: readonly DefinitionMigration[], from: string, to: string, workflow?: string) => {
  const found = definitionMigrations(migrations)
  const hops = found.path(from, to, { workflow })
  expect(found.canMigrate(from, to, { workflow })).toBe(hops !== undefined)
  return hops && [from, ...hops.map((it) => it.to)].join(' ')
}

// RV-24: the path validation helper agrees.
describe('path', () => {
  it('is empty where the version is right', () => {
    expect(way([], 'v1', 'v1')).toBe('v1')
    expect(way([hop('v1', 'v1'), hop('v1', 'v2')], 'v1', 'v1')).toBe('v1')
  })

  it('is absent where there is none', () => {
    expect(way([], 'v1', 'v2')).toBeUndefined()
    expect(way([hop('v1', 'v2'), hop('v3', 'v4')], 'v1', 'v4')).toBeUndefined()
    expect(way([hop('v1', 'v2')], 'v2', 'v1')).toBeUndefined()
  })

  it('is the shortest', () => {
    const hops = [hop('v1', 'v2'), hop('v2', 'v3'), hop('v3', 'v4'), hop('v2', 'v4')]
    expect(way(hops, 'v1', 'v4')).toBe('v1 v2 v4')
    expect(way([...hops, hop('v1', 'v4')], 'v1', 'v4')).toBe('v1 v4')
  })

  it('is, of several as short, the one declared first', () => {
    const hops = [hop('v1', 'b'), hop('v1', 'a'), hop('a', 'v2'), hop('b', 'v2')]
    expect(way(hops, 'v1', 'v2')).toBe('v1 b v2')
    const first = hop('v1', 'v2', keep)
    expect(definitionMigrations([first, hop('v1', 'v2')]).path('v1', 'v2')).toEqual([first])
  })

  it('goes through cycles and ends', () => {
    const hops = [hop('v1', 'v2'), hop('v2', 'v1'), hop('v2', 'v2'), hop('v2', 'v3'), hop('v3', 'v1')]
    expect(way(hops, 'v1', 'v3')).toBe('v1 v2 v3')
    expect(way(hops, 'v3', 'v2')).toBe('v3 v1 v2')
    expect(way(hops, 'v1', 'v9')).toBeUndefined()
  })

  it('takes hops of the workflow and of all', () => {
    const hops = [{ ...hop('v1', 'v2'), workflow: 'order' }, hop('v2', 'v3')]
    expect(way(hops, 'v1', 'v3', 'order')).toBe('v1 v2 v3')
    expect(way(hops, 'v1', 'v3', 'other')).toBeUndefined()
    expect(way(hops, 'v1', 'v3')).toBeUndefined()
    expect(way(hops, 'v2', 'v3', 'other')).toBe('v2 v3')
  })

  it('has versions of any name', () => {
    expect(way([hop('__proto__', 'constructor'), hop('constructor', '😀')], '__proto__', '😀')).toBe(
      '__proto__ constructor 😀',
    )
  })
})

// RV-20, RV-21, RV-24, SY-94.
describe('migrate', () => {
  const migrate = (strategy: DefinitionMigration['strategy'], position?: Position | null) =>
    definitionMigrations([hop('v1', 'v2', strategy)]).migrate({ version: 'v1', position, state: 1 }, 'v2').position
  const refusal = { from: 'v1', to: 'v2', reason: 'refused', hop: { from: 'v1', to: 'v2' } }

  it('leaves a run of the right version as it is', () => {
    const state = {}
    const result = definitionMigrations([hop('v1', 'v1')]).migrate({ version: 'v1', position: at('a'), state }, 'v1')
    expect(result).toEqual({ version: 'v1', position: at('a'), state, hops: [] })
    expect(result.state).toBe(state)
  })

  it('refuses without a way', () => {
    const { migrate: lead } = definitionMigrations([hop('v2', 'v1', keep)])
    expect(() => lead({ version: 'v1' }, 'v2')).toThrow(mismatch({ from: 'v1', to: 'v2', reason: 'no_path' }))
  })

  it('refuses by default', () => {
    expect(() => migrate(undefined, at('a'))).toThrow(mismatch(refusal))
    expect(() => migrate('fail', at('a'))).toThrow(mismatch(refusal))
    expect(() => migrate('fail')).toThrow(mismatch(refusal))
    expect(() => migrate([], at('a'))).toThrow(mismatch(refusal))
  })

  it('moves a step', () => {
    expect(migrate(move('a', 'b'), at('a'))).toEqual(at('b'))
    expect(() => migrate(move('a', 'b'), at('c'))).toThrow(mismatch(refusal))
  })

  it('moves steps wherever the position names them', () => {
    const moves = [move('a', 'b'), move('b', 'a')]
    expect(migrate(moves, { kind: 'delay', stepId: 'nap', wakeAt: 5, next: 'a' })).toEqual({
      kind: 'delay',
      stepId: 'nap',
      wakeAt: 5,
      next: 'b',
    })
    expect(migrate(moves, { kind: 'fork', stepId: 'f', branches: ['a', 'b', 'c'], completed: ['b'] })).toEqual({
      kind: 'fork',
      stepId: 'f',
      branches: ['b', 'a', 'c'],
      completed: ['a'],
    })
  })

  it('takes the first other strategy where no step is to be moved', () => {
    expect(migrate([move('a', 'b'), keep, restart], at('a'))).toEqual(at('b'))
    expect(migrate([keep, restart, move('a', 'b')], at('c'))).toEqual(at('c'))
    expect(migrate([move('a', 'b'), restart], at('c'))).toBeNull()
    expect(() => migrate([move('a', 'b'), 'fail', restart], at('c'))).toThrow(mismatch(refusal))
  })

  it('falls back to a step', () => {
    const position: Position = { kind: 'message', stepId: 'ask', name: 'answer' }
    expect(migrate({ kind: 'fallback', stepId: 'safe' }, position)).toEqual(at('safe'))
  })

  it('starts again', () => expect(migrate(restart, at('a'))).toBeNull())

  it('leaves a run at the beginning there', () => {
    for (const position of [undefined, null]) {
      for (const strategy of [keep, restart, { kind: 'fallback', stepId: 'safe' }, move('a', 'b')] as const) {
        expect(migrate(strategy, position)).toBeNull()
      }
    }
  })

  it('goes hop by hop, with the state', () => {
    const migrations = [
      { ...hop('v1.0', 'v1.1', move('pay', 'charge')), map: (state: unknown) => ({ ...(state as object), b: 2 }) },
      { ...hop('v1.1', 'v1.2', move('charge', 'collect')), map: (state: unknown) => ({ state }) },
    ]
    const run = { version: 'v1.0', position: at('pay'), state: { a: 1 } }
    const { hops, ...result } = definitionMigrations(migrations).migrate(run, 'v1.2')
    expect(result).toEqual({ version: 'v1.2', position: at('collect'), state: { state: { a: 1, b: 2 } } })
    expect(hops).toEqual(migrations)
    expect(run).toEqual({ version: 'v1.0', position: at('pay'), state: { a: 1 } })
  })

  it('maps nothing of a run that it refuses', () => {
    const map = vi.fn((state: unknown) => state)
    const { migrate: lead } = definitionMigrations([{ ...hop('v1', 'v2'), map }])
    expect(() => lead({ version: 'v1', position: at('a') }, 'v2')).toThrow(mismatch(refusal))
    expect(map).not.toHaveBeenCalled()
  })

  it('tells of a state that could not be mapped', () => {
    const cause = new Error('Bad state')
    const map = (): never => {
      throw cause
    }
    const { migrate: lead } = definitionMigrations([hop('v1', 'v2', keep), { ...hop('v2', 'v3', keep), map }])
    const details = { from: 'v1', to: 'v3', reason: 'mapper_failed', hop: { from: 'v2', to: 'v3' } }
    expect(() => lead({ version: 'v1' }, 'v3')).toThrow(
      expect.objectContaining({ code: 'DEFINITION_MISMATCH', details, cause }),
    )
  })

  it('refuses a step that the new definition lacks', () => {
    const { migrate: lead } = definitionMigrations([hop('v1', 'v2', keep)])
    const run = { version: 'v1', position: at('a') }
    expect(lead(run, 'v2', { steps: ['a', 'b'] }).position).toEqual(at('a'))
    expect(() => lead(run, 'v2', { steps: ['b'] })).toThrow(
      mismatch({ from: 'v1', to: 'v2', reason: 'target_not_found' }),
    )
    expect(lead({ version: 'v1' }, 'v2', { steps: [] }).position).toBeNull()
  })

  it('gives the same for the same', () => {
    const { migrate: lead } = definitionMigrations([hop('v1', 'v2', move('a', 'b'))])
    const run = { version: 'v1', position: at('a'), state: 5 }
    expect(lead(run, 'v2')).toEqual(lead(run, 'v2'))
  })

  it('refuses what is malformed', () => {
    const bad = [undefined, null, 5, '', {}] as never[]
    const { migrate: lead, path } = definitionMigrations([])
    for (const it of bad) {
      expect(() => lead(it, 'v1')).toThrow(refused)
      expect(() => lead({ version: 'v1' }, it)).toThrow(refused)
      expect(() => path(it, 'v1')).toThrow(refused)
      expect(() => definitionMigrations(it)).toThrow(refused)
      expect(() => definitionMigrations([it])).toThrow(refused)
      expect(() => definitionMigrations([{ from: it, to: 'v1' }])).toThrow(refused)
      expect(() => definitionMigrations([{ from: 'v1', to: it }])).toThrow(refused)
      if (it !== undefined) {
        expect(() => definitionMigrations([{ from: 'v1', to: 'v2', map: it }])).toThrow(refused)
        expect(() => definitionMigrations([{ from: 'v1', to: 'v2', strategy: it }])).toThrow(refused)
      }
      expect(() => definitionMigrations([{ from: 'v1', to: 'v2', strategy: [it] }])).toThrow(refused)
      expect(() => definitionMigrations([{ from: 'v1', to: 'v2', strategy: move(it, 'a') }])).toThrow(refused)
      expect(() => definitionMigrations([{ from: 'v1', to: 'v2', strategy: move('a', it) }])).toThrow(refused)
    }
    expect(() => lead({ version: 'v1', position: { kind: 'step' } as never }, 'v1')).toThrow(refused)
  })
})

// SY-69, SY-70.
describe('definitionHash', () => {
  const definition = {
    name: 'order',
    steps: [
      { id: 'charge', version: 1, timeout: 5000, retry: { maxAttempts: 3 } },
      { id: 'nap', delay: 60_000 },
    ],
  }
  const [charge, nap] = definition.steps
  const hash = definitionHash

  it('is 64 hexadecimal digits, the same everywhere', async () => {
    // Of `[{"a":1}]`, by another implementation.
    expect(await hash({ a: 1 })).toBe('b713f6d2a989e907c58516a7c8bb487792c8785ddbf367b80dc774bf33b85a85')
    expect(await hash(definition)).toMatch(/^[0-9a-f]{64}$/)
    expect(await hash(definition)).toBe(await hash(structuredClone(definition)))
  })

  it('does not depend on the order of members, nor on those that are undefined', async () => {
    const other = {
      steps: [{ retry: { maxAttempts: 3 }, timeout: 5000, version: 1, id: 'charge', entry: undefined }, nap],
      name: 'order',
      tags: undefined,
    }
    expect(await hash(other)).toBe(await hash(definition))
    expect(await hash({ 2: 'b', 10: 'a', __x: 1 })).toBe(await hash({ __x: 1, 10: 'a', 2: 'b' }))
  })

  it('survives being stored as JSON', async () => {
    expect(await hash(JSON.parse(JSON.stringify(definition)))).toBe(await hash(definition))
  })

  it('changes with everything in it', async () => {
    const others: unknown[] = [
      definition,
      { ...definition, name: 'other' },
      { ...definition, steps: [charge] },
      { ...definition, steps: [nap, charge] },
      { ...definition, steps: [{ ...charge, timeout: 5001 }, nap] },
      { ...definition, steps: [{ ...charge, version: 2 }, nap] },
      { ...definition, steps: [charge, { ...nap, version: 1 }] },
      { ...definition, steps: [charge, { ...nap, delay: 60_001 }] },
      { ...definition, steps: [{ ...charge, retry: { maxAttempts: 4 } }, nap] },
      { ...definition, steps: [{ ...charge, retry: null }, nap] },
      { ...definition, extra: {} },
      { ...definition, extra: [] },
      [definition],
    ]
    expect(new Set(await Promise.all(others.map(hash))).size).toBe(others.length)
  })

  it('tells all structured values apart', async () => {
    const values = [
      ...[undefined, null, 0, -0, 1, '1', 1n, true, '', Number.NaN, Infinity, [], {}, [undefined], [null]],
      ...[new Date(0), new Date(1), '1970-01-01T00:00:00.000Z', new Map(), new Set(), new Map([[1, 2]]), new Set([1])],
      ...[new Uint8Array(1), new Uint8Array(2), new ArrayBuffer(1), { $1: 'undefined' }, { a: { $1: 'undefined' } }],
      ...[{ a: 1 }, { a: { b: 1 } }, { b: 1 }, { 'a.b': 1 }, new Map([['a', undefined]]), structured()],
      ...[JSON.parse('{"__proto__":1}'), JSON.parse('{"__proto__":2}')],
    ]
    expect(new Set(await Promise.all(values.map(hash))).size).toBe(values.length)
    expect(await hash(structured())).toBe(await hash(structured()))
  })

  it('refuses what cannot be stored', async () => {
    for (const value of [() => {}, { run: () => {} }, Symbol('x'), new URL('a:b')]) {
      await expect(hash(value)).rejects.toMatchObject({ code: 'SERIALIZATION' })
    }
  })
})
