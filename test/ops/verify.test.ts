/** Whatever is broken on purpose is found, and named; what can be mended is mended. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import type { Op, Value } from '../../src/core/driver.ts'
import { encodeId, tenantParts } from '../../src/core/keys.ts'
import { memory } from '../../src/drivers/memory.ts'
import type { Holdfast } from '../../src/holdfast.ts'
import { health, stats, verify } from '../../src/ops/index.ts'
import { encrypt } from '../../src/wrappers/encrypt.ts'
import { prefix } from '../../src/wrappers/prefix.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { ODD, contentOf, seed } from './seed.ts'

const PARTS = tenantParts()
const RUN = PARTS.run(ODD)
const number = (n: number): string => String(n).padStart(16, '0')
const put = (part: string, key: string, value: string): Op => ({ put: { part, key }, value })
const remove = (part: string, key: string): Op => ({ delete: { part, key } })

/** How each thing is broken, and how it is called. */
const BREAKS: Record<string, { readonly ops: Op[]; readonly kinds: string[] }> = {
  'an event is missing': { ops: [remove(RUN, `event!${number(1)}`)], kinds: ['gap'] },
  'a number is far out': { ops: [put(RUN, `event!${number(9)}`, '{}')], kinds: ['gap'] },
  'an intervention is missing': { ops: [remove(RUN, `intervention!${number(1)}`)], kinds: ['gap'] },
  'more was consumed than there is': { ops: [put(RUN, 'consumed', '3')], kinds: ['mismatch'] },
  'a key names no event': { ops: [put(RUN, 'idempotency!x', number(7))], kinds: ['mismatch'] },
  'a message is missing': { ops: [remove(RUN, `message!news!${number(1)}`)], kinds: ['gap'] },
  'more messages were taken than sent': { ops: [put(RUN, 'taken!news', '3')], kinds: ['mismatch'] },
  'a sent key names no message': { ops: [put(RUN, 'sent!news!x', '3')], kinds: ['mismatch'] },
  'a step is missing': { ops: [remove(RUN, 'step!charge')], kinds: ['mismatch', 'mismatch'] },
  'a step has no place': { ops: [put(RUN, 'step!zzz', '{}')], kinds: ['mismatch'] },
  'the snapshot is missing': { ops: [remove(RUN, 'snapshot')], kinds: ['mismatch'] },
  'a token of an earlier release is no number': { ops: [put(RUN, 'token', 'x')], kinds: ['unreadable'] },
  'a token is no number': { ops: [put('default!tokens', 'a1b2', 'x')], kinds: ['unreadable'] },
  'an event is no JSON': { ops: [put(RUN, `event!${number(1)}`, '{')], kinds: ['unreadable'] },
  'an event is of a newer format': {
    ops: [put(RUN, `event!${number(1)}`, '{"payload":{"$2":"X"}}')],
    kinds: ['newer-format'],
  },
  'a wait is no JSON': { ops: [put(PARTS.waits, 'nonsense', '{')], kinds: ['unreadable'] },
  'a wait names no run': { ops: [put(PARTS.waits, 'nonsense', '{}')], kinds: ['unreadable'] },
  'a wait is of a newer format': { ops: [put(PARTS.waits, 'new', '{"$2":"X"}')], kinds: ['newer-format'] },
  'a mark is no JSON': { ops: [put(PARTS.marks, 'nonsense', '{')], kinds: ['unreadable'] },
  'a mark is no object': { ops: [put(PARTS.marks, 'nonsense', '5')], kinds: ['unreadable'] },
  'a key is not known': { ops: [put(RUN, 'wurst', 'x')], kinds: ['unknown'] },
  'a part is not known': { ops: [put('default!wurst', 'x', 'x')], kinds: ['unknown'] },
  'a run is only half there': {
    ops: [remove(PARTS.run('done'), 'run')],
    kinds: ['orphan', 'dangling-index', 'dangling-index'],
  },
}

/** What may lie where the record of a run was. */
const NO_RECORDS: Record<string, Value> = {
  'no JSON': '{',
  null: 'null',
  'an empty object': '{}',
  'a number': '5',
  'an empty list': '[]',
  bytes: new Uint8Array([0, 255]),
  'the record of another run': '{"runId":"done","tenant":"default","createdAt":1,"status":"running","since":1}',
  'of no status': JSON.stringify({ runId: ODD, tenant: 'default', createdAt: 1, status: 'wurst', since: 1 }),
  'of malformed tags': JSON.stringify({ runId: ODD, createdAt: 1, status: 'running', since: 1, tags: 5 }),
}

/** What `repair` mends. */
const MENDED: Record<
  string,
  { readonly ops: (entries: readonly { part: string; key: string }[]) => Op[]; readonly kinds: string[] }
> = {
  'a run is not listed': { ops: () => [remove(PARTS.runs, encodeId(ODD, 'x'))], kinds: ['missing-index'] },
  'the statuses are lost': {
    ops: () => [{ deletePart: PARTS.status }],
    kinds: Array.from({ length: 5 }, () => 'missing-index'),
  },
  'the timer is lost': { ops: () => [{ deletePart: PARTS.due }], kinds: ['missing-index'] },
  'a wait is lost': { ops: () => [{ deletePart: PARTS.waits }], kinds: ['missing-index', 'missing-index'] },
  'a summary is wrong': { ops: () => [put(PARTS.runs, 'done', '{}')], kinds: ['wrong-index'] },
  'what can be worked on is lost': {
    ops: (entries) =>
      [...new Set(entries.map(({ part }) => part))]
        .filter((part) => part.startsWith(PARTS.ready))
        .map((deletePart) => ({ deletePart })),
    kinds: ['missing-index', 'missing-index', 'missing-index'],
  },
  'indexes point to nothing': {
    ops: () => [
      put(PARTS.runs, 'ghost', '{}'),
      put(PARTS.snapshots, 'ghost', '{}'),
      put(PARTS.status, `completed!${number(5)}!ghost`, '{}'),
      put(PARTS.status, `completed!${number(5)}!order-1`, '{}'),
      put(PARTS.status, 'nonsense', '{}'),
      put(PARTS.due, `${number(5)}!order-1`, ''),
      put(`${PARTS.ready}-`, `3!${number(5)}!done!x`, '{}'),
      put(PARTS.waits, 'nobody', '{"runId":"done","stepId":"x"}'),
    ],
    kinds: Array.from({ length: 8 }, () => 'dangling-index'),
  },
  'marks and their times differ': {
    ops: (entries) => [
      remove(PARTS.marked, entries.find(({ part }) => part === PARTS.marked)!.key),
      put(PARTS.marked, `${number(5)}!ghost`, ''),
    ],
    kinds: ['dangling-index', 'missing-index'],
  },
}

async function kindsIn(holdfast: Holdfast, repair = false): Promise<string[]> {
  const kinds: string[] = []
  const { problems, repaired } = await verify(holdfast.db, {
    repair,
    batch: 3,
    onProblem: ({ kind }) => void kinds.push(kind),
  })
  expect(problems).toBe(kinds.length)
  expect(repaired).toBe(repair ? kinds.length : 0)
  return kinds.toSorted()
}

for (const engine of engines) {
  describe(`verify on ${engine.name}`, () => {
    const withSeed = (work: (holdfast: Holdfast) => Promise<void>) =>
      withDirectory(async (directory) => {
        const holdfast = await seed(await engine.make(join(directory, 'a.db')))
        await work(holdfast)
        await holdfast.close()
      })

    it('finds nothing wrong in what the stores have written', () =>
      withSeed(async ({ db }) => {
        const { entries, runs, first } = await verify(db)
        expect(first).toEqual([])
        expect(entries).toBe((await contentOf(db)).length)
        expect(runs).toBe(7)
      }))

    for (const [name, { ops, kinds }] of Object.entries(BREAKS)) {
      it(`finds that ${name}`, () =>
        withSeed(async (holdfast) => {
          await holdfast.db.commit({ ops })
          expect(await kindsIn(holdfast)).toEqual(kinds.toSorted())
        }))
    }

    for (const [name, { ops, kinds }] of Object.entries(MENDED)) {
      it(`mends that ${name}`, () =>
        withSeed(async (holdfast) => {
          const before = await contentOf(holdfast.db)
          await holdfast.db.commit({ ops: ops(before) })
          expect(await kindsIn(holdfast)).toEqual(kinds.toSorted())
          expect(await kindsIn(holdfast, true)).toEqual(kinds.toSorted())
          expect(await kindsIn(holdfast)).toEqual([])
          const plain = (entries: typeof before) =>
            entries.map(({ part, key, value, expiresAt }) => ({ part, key, value, expiresAt }))
          expect(plain(await contentOf(holdfast.db))).toEqual(plain(before))
        }))
    }
  })
}

describe('verify', () => {
  for (const [name, value] of Object.entries(NO_RECORDS)) {
    it(`goes on, and deletes nothing, where the record of a run is ${name}`, async () => {
      const { db } = await seed(memory())
      await db.commit({
        ops: [{ put: { part: RUN, key: 'run' }, value }, put(PARTS.run('sleeper'), `event!${number(9)}`, '{}')],
      })
      const before = await contentOf(db)
      const { first, runs } = await verify(db, { repair: true })
      expect(first).toMatchObject([
        { kind: 'unreadable', part: RUN, key: 'run', repaired: false },
        { kind: 'gap', part: PARTS.run('sleeper'), repaired: false },
      ])
      expect(runs).toBe(7)
      expect(await contentOf(db)).toEqual(before)
    })
  }

  it('does not mend the time of a mark that it cannot read', async () => {
    const { db } = await seed(memory())
    const at = (await contentOf(db)).find(({ part }) => part === PARTS.marked)!
    const key = at.key.slice(17)
    for (const value of ['{', '5', new Uint8Array([0, 255])]) {
      await db.commit({ ops: [{ put: { part: PARTS.marks, key }, value }] })
      const before = await contentOf(db)
      const { first } = await verify(db, { repair: true })
      expect(first).toMatchObject([{ kind: 'unreadable', part: PARTS.marks, key, repaired: false }])
      expect(await contentOf(db)).toEqual(before)
    }
  })

  for (const names of [undefined, new Uint8Array(32).fill(7)]) {
    it(`deletes nothing of an encrypted store ${names ? 'with hidden names ' : ''}that it has no keys of`, async () => {
      const backend = memory()
      await seed(encrypt(backend, { keys: { a: new Uint8Array(32) }, current: 'a', names }))
      const db = createDatabase({ driver: backend })
      const before = await contentOf(db)
      const { first, repaired } = await verify(db, { repair: true })
      expect(repaired).toBe(0)
      expect(first.filter(({ kind, part }) => kind === 'unreadable' && part.endsWith('!waits')).length).toBe(2)
      expect(await contentOf(db)).toEqual(before)
    })
  }

  it('says of parts under a prefix where they are verified', async () => {
    const backend = memory()
    const inner = await seed(prefix(backend, 'app'))
    expect(await verify(inner.db)).toMatchObject({ problems: 0, runs: 7 })
    const { first } = await verify(createDatabase({ driver: backend }))
    expect(new Set(first.map(({ kind }) => kind))).toEqual(new Set(['unknown']))
  })

  it('stops by its signal, and is of one tenant', async () => {
    const { db } = await seed(memory())
    const stop = new AbortController()
    const cut = verify(db, { batch: 1, signal: stop.signal, onProgress: () => stop.abort() })
    await expect(cut).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await verify(db, { tenant: ODD })).toMatchObject({ runs: 1, problems: 0 })
  })
})

describe('stats', () => {
  it('counts by tenant and kind', async () => {
    const { db } = await seed(memory())
    const counted = await stats(db, { sizes: true, batch: 4 })
    expect(counted.entries).toBe((await contentOf(db)).length)
    expect(counted.tenants['default']).toMatchObject({
      runs: { running: 3, waiting: 1, completed: 1 },
      values: 6,
      events: 7,
      steps: 4,
      marks: 3,
    })
    expect(counted.tenants[ODD]).toMatchObject({ runs: { running: 1 }, values: 1, events: 1 })
    expect(counted.tenants['default']!.bytes).toBeGreaterThan(1000)
    expect((await stats(db)).tenants['default']!.bytes).toBeUndefined()
    expect(Object.keys((await stats(db, { tenant: ODD })).tenants)).toEqual([ODD])
  })
})

describe('health', () => {
  it('answers with what it measured, and says what to do', async () => {
    const { db } = await seed(memory())
    const { ok, latency, skew, findings } = await health(db)
    expect(ok).toBe(true)
    expect(latency).toBeLessThan(1000)
    expect(Math.abs(skew!)).toBeLessThan(1000)
    expect(findings.find(({ what }) => what === 'durability')).toMatchObject({ level: 'warning' })
  })

  it('sees clocks that are apart', async () => {
    const db = createDatabase({ driver: memory({ clock: () => Date.now() + 5000 }) })
    const { skew, findings } = await health(db)
    expect(skew).toBeGreaterThan(4000)
    expect(findings.find(({ what }) => what === 'clock')).toMatchObject({ level: 'warning' })
  })

  it('says of a backend that is gone that it is, and throws what is not about the backend', async () => {
    const gone = createDatabase({ driver: { ...memory(), read: async () => Promise.reject(new Error('gone')) } })
    expect(await health(gone)).toMatchObject({ ok: false, error: 'BACKEND', findings: [{ level: 'failure' }] })
    await gone.close()
    await expect(health(gone)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(health(gone, { samples: 0 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
