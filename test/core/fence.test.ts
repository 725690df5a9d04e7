import { describe, expect, it } from 'vitest'
import { innerOf } from '../../src/core/database.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'

/** A run with a claimed step, over a driver that counts. */
async function claimed() {
  const spy = spyOn(memory())
  const holdfast = createHoldfast({ driver: spy.driver })
  const { claims, persistence } = holdfast
  const run = { position: { kind: 'step', stepId: 's' } } as const
  await persistence.append({ runId: 'r', workflow: 'w', kind: 'begun' }, { run })
  const claim = (await claims.claimTask({ runId: 'r', stepId: 's', workerId: 'w1', ttl: 60_000 }))!
  const cost = async (call: () => Promise<unknown>): Promise<number> => {
    const before = spy.commits.length + spy.reads.length
    await call()
    return spy.commits.length + spy.reads.length - before
  }
  return { spy, holdfast, ...holdfast, db: innerOf(holdfast.db), claim, cost }
}

describe('fence', () => {
  it('knows of an extension made through the same database: one commit each', async () => {
    const { claims, state, claim, cost } = await claimed()
    for (let n = 0; n < 3; n++) {
      expect(await cost(() => claims.extendTaskClaim(claim, 60_000))).toBe(1)
      expect(await cost(() => state.set('k', String(n), { claim }))).toBe(1)
    }
    expect(await cost(() => claims.releaseTaskClaim(claim))).toBe(1)
  })

  it('learns of an extension made elsewhere with one request more', async () => {
    const { spy, state, claim, cost } = await claimed()
    const other = createHoldfast({ driver: spy.driver })
    await other.claims.extendTaskClaim(claim, 60_000)
    expect(await cost(() => state.set('k', '1', { claim }))).toBe(2)
    expect(await cost(() => state.set('k', '2', { claim }))).toBe(1)
  })

  it('serves a commit that checks the lease itself with one check', async () => {
    const { spy, claims, db, claim } = await claimed()
    const draft = (version: string | null) => ({
      checks: [{ at: claim.at, version }],
      ops: [{ put: { part: 'p', key: 'k' }, value: 'v' }],
    })
    expect((await db.commit(draft(claim.id), { claim })).ok).toBe(true)
    expect(spy.commits.at(-1)!.commits[0]!.checks).toHaveLength(1)
    await claims.extendTaskClaim(claim, 60_000)
    const stale = await db.commit(draft(claim.id), { claim })
    expect(stale).toMatchObject({ ok: false, failed: [{ check: 0 }] })
    expect(await db.commit(draft(null), { claim })).toMatchObject({ ok: false, failed: [{ check: 0 }] })
    const [entry] = await db.read([{ get: claim.at }])
    expect((await db.commit(draft(entry!.version), { claim })).ok).toBe(true)
  })

  it('refuses two leases of one place: one of them is over', async () => {
    const { claims, db, claim } = await claimed()
    await claims.forceReleaseClaim('r', { stepId: 's' })
    const next = (await claims.claimTask({ runId: 'r', stepId: 's', workerId: 'w2' }))!
    const draft = { ops: [{ put: { part: 'p', key: 'k' }, value: 'v' }] }
    await expect(db.commitUnder([next], [draft], { claim })).rejects.toMatchObject({ code: 'CLAIM_LOST' })
    await expect(db.commitUnder([next, next], [draft], { claim: next })).resolves.toMatchObject([{ ok: true }])
  })

  it('ends with what takes the place of the lease, also in the same request', async () => {
    const { db, claim } = await claimed()
    const put = (key: string) => ({ ops: [{ put: { part: 'p', key }, value: 'v' }] })
    const over = { ops: [{ put: claim.at, value: 'not a lease' }] }
    await expect(db.commitAll([put('a'), over, put('b')], { claim })).rejects.toMatchObject({ code: 'CLAIM_LOST' })
    const [a, b] = await db.read([{ get: { part: 'p', key: 'a' } }, { get: { part: 'p', key: 'b' } }])
    expect([a?.value, b]).toEqual(['v', null])
    await expect(db.commit(put('c'), { claim })).rejects.toMatchObject({ code: 'CLAIM_LOST' })
  })

  it('sees an extension that an earlier commit of the same request makes', async () => {
    const { db, claim } = await claimed()
    const [entry] = await db.read([{ get: claim.at }])
    const renewal = { id: db.newId(), ops: [{ put: claim.at, value: entry!.value, expires: { in: 60_000 } }] }
    const put = { ops: [{ put: { part: 'p', key: 'k' }, value: 'v' }] }
    expect(await db.commitAll([put, renewal, put], { claim })).toMatchObject([{ ok: true }, { ok: true }, { ok: true }])
    expect((await db.commit(put, { claim })).ok).toBe(true)
  })
})
