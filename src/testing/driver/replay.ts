/** Exactly once: a request repeated under its id. @module */
import type { CommitRequest, Entry } from '../../core/driver.ts'
import { equal, ok } from '../assert.ts'
import { absent, append, at, atOnce, put, removePart } from '../build.ts'
import { type Case, type CaseBase, type Context, defineCase, type GatedCase } from '../case.ts'

/** Where repeats are not recognised, no outcome may ever be unknown: there is no need to repeat anything. */
const GATE: Pick<GatedCase, 'needs' | 'otherwise'> = {
  needs: ({ replayWindow }) => replayWindow > 0,
  otherwise: async ({ capabilities }) => {
    equal(capabilities.replayWindow, 0)
    equal(capabilities.network, false, 'Over a network a lost answer leaves an outcome unknown')
  },
}

const replayCase = (id: `DR-${number}`, name: string, run: CaseBase['run']): Case => defineCase(id, name, run, GATE)

/** One commit that takes effect, one that fails, one that takes effect. */
const request = (t: Context): CommitRequest => ({
  id: t.id(),
  commits: [
    { id: t.id(), checks: [absent('k')], ops: [append('log!', 'a'), put('k', '1')], durability: 'strict' },
    { id: t.id(), checks: [absent('k')], ops: [append('log!', 'b')], durability: 'strict' },
    { id: t.id(), checks: [], ops: [append('log!', 'c'), append('other!', 'd')], durability: 'strict' },
  ],
})

/** `ok`, the numbers, and which checks failed: what a repeat has to say again. What is there now may be newer. */
const verdicts = async (t: Context, again: CommitRequest): Promise<unknown> =>
  (await t.driver.commit(again)).outcomes.map((outcome) =>
    outcome.ok ? outcome : outcome.failed.map(({ check }) => check),
  )

const EXPECTED: unknown = [{ ok: true, seqs: [1] }, [0], { ok: true, seqs: [2, 1] }]

/** The same id means the same request. */
export const repeated: Case = replayCase(
  'DR-801',
  'a repeated request takes effect once and answers the same',
  async (t) => {
    const it = request(t)
    equal(await verdicts(t, it), EXPECTED)
    const before = await t.all()
    equal(await verdicts(t, it), EXPECTED)
    equal(await verdicts(t, structuredClone(it)), EXPECTED)
    equal(await t.all(), before)
  },
)

/** Others do not wait while an answer is lost. */
export const repeatedLater: Case = replayCase(
  'DR-802',
  'a request repeated after other commits undoes nothing of them',
  async (t) => {
    const it = request(t)
    equal(await verdicts(t, it), EXPECTED)
    await t.write(put('k', 'theirs'), append('log!', 'theirs'))
    const before = await t.all()
    equal(await verdicts(t, it), EXPECTED)
    equal(await t.all(), before)
    await t.write(removePart())
    equal(await verdicts(t, it), EXPECTED, 'Though nothing of it is left')
    equal(await t.all(), [])
  },
)

/** A commit that failed stays failed, whatever has become of its checks. */
export const failedStaysFailed: Case = replayCase(
  'DR-803',
  'a commit that failed fails again when repeated',
  async (t) => {
    const it = request(t)
    equal(await verdicts(t, it), EXPECTED)
    await t.write({ delete: at('k') })
    const { outcomes } = await t.driver.commit(it)
    const again = outcomes[1]!
    // What was there then, or what is there now: both are the truth of some moment.
    equal(again.ok ? [] : again.failed.map(({ check }) => check), [0])
    equal(await t.get(at('k')), null)
  },
)

/** A client that has given up waiting may repeat while the first is still under way. */
export const repeatedAtOnce: Case = replayCase(
  'DR-804',
  'a request sent four times at once takes effect once',
  async (t) => {
    const it = request(t)
    for (const answer of await atOnce(4, () => verdicts(t, it))) equal(answer, EXPECTED)
    equal((await t.all({ start: 'log!', end: 'log"' })).length, 2)
  },
)

/** Once means once: also for expiry. */
export const expiryNotRestarted: Case = replayCase('DR-805', 'a repeat does not prolong what expires', async (t) => {
  const it: CommitRequest = {
    id: t.id(),
    commits: [{ id: t.id(), checks: [], ops: [put('k', 'v', { in: 60_000 })], durability: 'strict' }],
  }
  await t.driver.commit(it)
  const before = await t.get(at('k'))
  ok(before !== null, 'It is there')
  await t.sleep(20)
  await t.driver.commit(it)
  equal(await t.get(at('k')), before)
})

/** Only the id makes a request the same: this holds for every driver. */
export const otherIds: Case = defineCase(
  'DR-806',
  'the same commits under another request id are another request',
  async (t) => {
    const ops = [append('log!', 'same')]
    equal((await t.commit({ ops })).ok, true)
    equal(await t.commit({ ops }), { ok: true, seqs: [2] })
    equal((await t.all()).length, 2)
  },
)

/** `Entry.value` is owned by the caller: also by the one that repeats, and by the one before. */
export const repeatsShareNothing: Case = replayCase(
  'DR-807',
  'a repeated answer shares no bytes with the first',
  async (t) => {
    await t.write(put('k', new Uint8Array([1, 2, 3])))
    const commit = (check: string): CommitRequest['commits'][number] => ({
      id: t.id(),
      checks: [absent(check)],
      ops: [put('other', 'v')],
      durability: 'strict',
    })
    const it: CommitRequest = { id: t.id(), commits: [commit('k'), commit('none')] }
    for (let n = 0; n < 3; n++) {
      const [outcome] = (await t.driver.commit(it)).outcomes
      const found = outcome?.ok === false ? (outcome.failed[0]?.current as Entry | null) : null
      equal(found?.value, new Uint8Array([1, 2, 3]))
      if (found?.value instanceof Uint8Array) found.value.fill(9)
    }
  },
)
