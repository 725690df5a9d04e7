/** The context of a run: a value that its steps share. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, ODD_IDS, RUN, several, spied, stores, structured, verdict } from '../stores.ts'
import { create, runOf, contextOf } from './runs.ts'

/** Only the context changes. */
export const replaces: Case = defineCase('WF-301', 'an update replaces the context, and nothing else', async (t) => {
  const s = stores(t)
  const before = await create(s, { input: { a: 1 }, context: { a: 1, b: 2 } })
  equal(await s.workflows.updateContext(RUN, { c: structured() }), { version: 2 })
  for (const it of [s, stores(t)]) {
    const { context, contextVersion, ...rest } = await runOf(it)
    equal([context, contextVersion], [{ c: structured() }, 2])
    equal({ ...rest, context: before.context, contextVersion: 1 }, before)
  }
  equal(await stores(t).workflows.updateContext(RUN, {}), { version: 3 })
  equal((await runOf(s)).context, {})
})

/** Merged at the root, not deeper. */
export const patches: Case = defineCase('WF-302', 'a patch sets members at the root of the context', async (t) => {
  const s = stores(t)
  await create(s)
  equal(await s.workflows.patchContext(RUN, { a: { x: 1 }, b: 1 }), { version: 1, context: { a: { x: 1 }, b: 1 } })
  const { workflows } = stores(t)
  equal(await workflows.patchContext(RUN, { a: { y: 2 } }), { version: 2, context: { a: { y: 2 }, b: 1 } })
  equal(await workflows.patchContext(RUN, {}), { version: 3, context: { a: { y: 2 }, b: 1 } })
  equal((await s.workflows.patchContext(RUN, { b: undefined })).context, { a: { y: 2 }, b: undefined })
})

/** Concurrent writes are not lost. */
export const concurrent: Case = defineCase('WF-303', 'concurrent patches are all kept', async (t) => {
  const handles = several(t, 4)
  await create(handles[0]!)
  await atOnce(40, (i) => handles[i % 4]!.workflows.patchContext(RUN, { [`k${i}`]: i, last: i }))
  const { context, contextVersion } = await runOf(stores(t))
  equal([Object.keys(context as object).length, contextVersion], [41, 40])
})

/** Compare and set. */
export const versions: Case = defineCase(
  'WF-304',
  'a context is replaced only over the expected version',
  async (t) => {
    const handles = several(t, 4)
    await create(handles[0]!)
    for (const expectedVersion of [0, 1, 2]) {
      const found = await atOnce(12, (i) =>
        verdict(handles[i % 4]!.workflows.updateContext(RUN, { i }, { expectedVersion })),
      )
      const winner = found.findIndex((it) => it !== 'CONFLICT')
      equal(found.filter((it) => it === 'CONFLICT').length, 11)
      equal(found[winner], { version: expectedVersion + 1 })
      equal((await runOf(stores(t))).context, { i: winner })
    }
    await changesNothing(t, async () => {
      for (const s of [handles[0]!, stores(t)]) {
        for (const expectedVersion of [0, 2, 4]) {
          const error = await rejects(s.workflows.updateContext(RUN, {}, { expectedVersion }), 'CONFLICT')
          equal(error.details?.['version'], 3)
        }
      }
    })
  },
)

/** Names of members are data. */
export const names: Case = defineCase('WF-305', 'members of the context can have any name', async (t) => {
  const s = stores(t)
  await create(s)
  for (const [i, name] of ODD_IDS.entries()) {
    await s.workflows.patchContext(RUN, Object.fromEntries([[name, i]]))
  }
  await s.workflows.patchContext(RUN, { '': -1, $1: 'Date' })
  const context = await contextOf(stores(t))
  for (const [i, name] of ODD_IDS.entries())
    if (name !== '$1') equal(Object.getOwnPropertyDescriptor(context, name)?.value, i)
  equal([context[''], context['$1'], Object.getPrototypeOf(context)], [-1, 'Date', Object.prototype])
})

/** A context may be large, and is stored whole or not at all. */
export const large: Case = defineCase(
  'WF-306',
  'a large context is stored whole, and one too large is refused whole',
  async (t) => {
    const s = spied(t, { limits: { valueBytes: 200_000 } })
    await create(s)
    const text = 'é'.repeat(60_000)
    await s.workflows.updateContext(RUN, { text })
    equal((await s.workflows.patchContext(RUN, { more: 'x'.repeat(50_000) })).version, 2)
    equal((await contextOf(stores(t)))['text'], text)
    await changesNothing(t, async () => {
      await rejects(s.workflows.patchContext(RUN, { again: text }), 'PAYLOAD_TOO_LARGE')
      await rejects(create(s, { context: { text: text + text } }, 'new'), 'PAYLOAD_TOO_LARGE')
      await rejects(create(s, { input: text + text }, 'new'), 'PAYLOAD_TOO_LARGE')
      await rejects(s.workflows.saveTaskResult(RUN, 'a', text + text), 'PAYLOAD_TOO_LARGE')
    })
    equal((await s.workflows.patchContext(RUN, { small: 1 })).version, 3)
    ok((await contextOf(stores(t)))['more'], 'The one before is there')
  },
)

/** XState #5077: a loaded context can be stored. */
export const fixedPoint: Case = defineCase('WF-307', 'a loaded context can be stored again', async (t) => {
  const s = stores(t)
  await create(s, { context: structured() })
  const { context } = await runOf(s)
  await s.workflows.updateContext(RUN, context)
  equal((await runOf(stores(t))).context, context)
  await create(s, { input: context, context }, 'copy')
  const copy = await runOf(stores(t), 'copy')
  equal([copy.input, copy.context], [context, context])
})

/** Not only JSON. */
export const anyValue: Case = defineCase('WF-308', 'a context can be any structured value', async (t) => {
  for (const [i, context] of [[1, [2]], 'text', null, 0, false, new Map([[1, new Date(5)]]), 7n].entries()) {
    const [s, runId] = [stores(t), `run ${i}`]
    await create(s, { context }, runId)
    equal((await runOf(stores(t), runId)).context, context)
    equal(await s.workflows.updateContext(runId, {}), { version: 2 })
    equal(await s.workflows.updateContext(runId, context), { version: 3 })
    for (const it of [s, stores(t)]) equal((await runOf(it, runId)).context, context)
  }
})

/** Members are set only in an object. A refusal changes nothing, not even the step beside it. */
export const notPatched: Case = defineCase(
  'WF-309',
  'a context that is not a plain object cannot be patched',
  async (t) => {
    const s = stores(t)
    await create(s, { context: [1] })
    await s.workflows.upsertStep(RUN, { stepId: 'ask', status: 'waiting', waitId: 'wait' })
    await changesNothing(t, async () => {
      for (const it of [s, stores(t)]) {
        await rejects(it.workflows.patchContext(RUN, { a: 1 }), 'CONFLICT')
        await rejects(it.workflows.completeWait('wait', { context: { a: 1 } }), 'CONFLICT')
      }
    })
    // If another process has replaced it meanwhile, the cache does not count.
    await stores(t).workflows.updateContext(RUN, { b: 2 })
    await s.workflows.completeWait('wait', { context: { a: 1 } })
    equal((await runOf(stores(t))).context, { b: 2, a: 1 })
  },
)
