/** Exactly once: requests repeated under their id. @module */
import type { Commit, CommitRequest, Entry } from '../../core/driver.ts'
import { equal, ok, rejects } from '../assert.ts'
import { absent, append, at, atOnce, ends, put, remove, removePart } from '../build.ts'
import { type Case, type CaseBase, type Context, defineCase, type GatedCase } from '../case.ts'

/** If repeats are not recognised, no outcome may ever be unknown, so nothing needs to be repeated. */
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

/**
 * The parts of an answer that a repeat must return again: `ok`, the seqs, and which checks failed. Entries may be
 * newer.
 */
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

/** Other requests go on while an answer is lost. */
export const repeatedLater: Case = replayCase(
  'DR-802',
  'a request repeated after other commits undoes none of them',
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

/** A failed commit stays failed, even if its checks would hold now. */
export const failedStaysFailed: Case = replayCase('DR-803', 'a failed commit fails again when repeated', async (t) => {
  const it = request(t)
  equal(await verdicts(t, it), EXPECTED)
  await t.write({ delete: at('k') })
  const { outcomes } = await t.driver.commit(it)
  const again = outcomes[1]!
  // The entry of that time or the current one: each was true at some moment.
  equal(again.ok ? [] : again.failed.map(({ check }) => check), [0])
  equal(await t.get(at('k')), null)
})

/** A client that gave up waiting may repeat the request while the first one is still running. */
export const repeatedAtOnce: Case = replayCase(
  'DR-804',
  'a request sent four times at once takes effect once',
  async (t) => {
    const it = request(t)
    for (const answer of await atOnce(4, () => verdicts(t, it))) equal(answer, EXPECTED)
    equal((await t.all({ start: 'log!', end: 'log"' })).length, 2)
  },
)

/** Once means once, for expiry too. */
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

/** Only the id makes two requests the same. This holds for every driver. */
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

/** `Entry.value` is owned by the caller, for the first answer and for the repeat. */
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

/** A request of one commit. */
const requestOf = (t: Context, commit: Partial<Commit>): CommitRequest => ({
  id: t.id(),
  commits: [{ id: t.id(), checks: [], ops: [], durability: 'strict', ...commit }],
})

/** The caller was told "no". A late original, or a duplicate, must not make it a "yes". */
export const refusedStaysRefused: Case = replayCase(
  'DR-808',
  'a request whose commits were all refused is refused again, even if its checks would hold now',
  async (t) => {
    await t.write(put('lock', 'theirs'), append('log!', 'a'))
    const locks = requestOf(t, { checks: [absent('lock')], ops: [put('lock', 'mine')] })
    const appends = requestOf(t, { checks: [ends('log!', 0)], ops: [append('log!', 'first')] })
    equal(await verdicts(t, locks), [[0]])
    equal(await verdicts(t, appends), [[0]])
    await t.write(removePart())
    for (const it of [locks, appends, structuredClone(locks), structuredClone(appends)]) {
      equal(await verdicts(t, it), [[0]])
    }
    equal(await t.all(), [], 'Nothing was executed')
    await t.write(put('log!x', 'no number'))
    equal(await verdicts(t, appends), [[0]], 'Though the log has become something else')
  },
)

/** A late request is recognised by its deadline alone, because the record of the first one may be gone. */
export const tooLate: Case = replayCase(
  'DR-809',
  'a request past its deadline is refused, not executed, and learns the time',
  async (t) => {
    const { now } = await t.driver.read([])
    const it = { ...requestOf(t, { ops: [put('k', 'v')] }), deadline: now - 1 }
    const error = await rejects(t.driver.commit(it), 'UNAVAILABLE')
    ok(error.retryable && !error.ambiguous, 'It may be sent again under another id')
    ok(error.details?.['late'] === true && Number(error.details['now']) >= now, 'The error tells the clock')
    equal(await t.get(at('k')), null)
    const inTime = { ...it, id: t.id(), deadline: Number(error.details['now']) + t.capabilities.replayWindow / 2 }
    equal(await verdicts(t, inTime), [{ ok: true, seqs: [] }])
  },
)

/** A record lasts for the window. A request that may arrive later would be executed again. */
export const tooFarAhead: Case = replayCase(
  'DR-810',
  'a request with a deadline beyond the window is refused',
  async (t) => {
    const { now } = await t.driver.read([])
    const deadline = now + t.capabilities.replayWindow + 60_000
    await rejects(t.driver.commit({ ...requestOf(t, { ops: [put('k', 'v')] }), deadline }), 'UNAVAILABLE')
    equal(await t.get(at('k')), null)
  },
)

/** A caller without a deadline is protected as well, while the record exists. */
export const afterTheWindow: Case = defineCase(
  'DR-811',
  'a request repeated after the window is refused, not executed',
  async (t) => {
    const { replayWindow } = t.capabilities
    const plain = requestOf(t, { ops: [append('log!', 'once')] })
    equal(await verdicts(t, plain), [{ ok: true, seqs: [1] }])
    const { now } = await t.driver.read([])
    const dated = { ...requestOf(t, { ops: [append('log!', 'twice')] }), deadline: now + replayWindow / 2 }
    equal(await verdicts(t, dated), [{ ok: true, seqs: [2] }])
    await t.sleep(replayWindow * 0.75)
    equal(await verdicts(t, dated), [{ ok: true, seqs: [2] }], 'Within the window its record answers')
    await t.sleep(replayWindow * 0.25 + 1000)
    await rejects(t.driver.commit(plain), 'UNAVAILABLE')
    await rejects(t.driver.commit(dated), 'UNAVAILABLE')
    // Removing old records must not make it forget this one.
    for (let n = 0; n < 3; n++) await t.write(put('k', String(n)))
    await rejects(t.driver.commit(plain), 'UNAVAILABLE')
    await t.sleep(replayWindow * 2)
    for (let n = 0; n < 3; n++) await t.write(put('k', String(n)))
    await rejects(t.driver.commit(dated), 'UNAVAILABLE')
    equal((await t.all({ start: 'log!', end: 'log"' })).length, 2)
  },
  {
    needs: ({ replayWindow }, { advance }) => replayWindow > 0 && advance !== undefined,
    otherwise: async (t) => {
      ok(t.capabilities.replayWindow === 0 || t.backend.advance === undefined, 'Its clock cannot be moved')
    },
  },
)

/** Two requests under one id are a mistake that must not go unnoticed. */
export const otherContent: Case = replayCase(
  'DR-812',
  'a request id reused with other content is a CONFLICT, and nothing is executed',
  async (t) => {
    await t.write(put('there', 'v'))
    const it = requestOf(t, { checks: [absent('k')], ops: [put('k', 'v')] })
    const refused = requestOf(t, { checks: [absent('there')], ops: [put('other', 'v')] })
    equal(await verdicts(t, it), [{ ok: true, seqs: [] }])
    equal(await verdicts(t, refused), [[0]])
    const before = await t.all()
    const [commit] = it.commits
    const others: readonly (readonly Commit[])[] = [
      [{ ...commit!, ops: [put('k', 'w')] }],
      [{ ...commit!, ops: [put('k', new TextEncoder().encode('v'))] }],
      [{ ...commit!, ops: [put('l', 'v')] }],
      [{ ...commit!, ops: [put('k', 'v', { in: 60_000 })] }],
      [{ ...commit!, ops: [remove('k')] }],
      [{ ...commit!, ops: [append('log!', 'v')] }],
      [{ ...commit!, checks: [] }],
      [{ ...commit!, checks: [absent('l')] }],
      [{ ...commit!, id: t.id() }],
      [commit!, { ...commit!, id: t.id() }],
      [],
    ]
    for (const commits of others) {
      for (const { id } of [it, refused]) {
        const error = await rejects(t.driver.commit({ id, commits }), 'CONFLICT')
        ok(!error.retryable && !error.ambiguous, 'It is certain, and will be so again')
      }
    }
    equal(await t.all(), before)
    equal(await verdicts(t, it), [{ ok: true, seqs: [] }], 'The first one is still recognised')
    equal(await verdicts(t, refused), [[0]])
  },
)
