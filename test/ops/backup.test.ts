/** Backups: equal after a restore, wherever it is made, and refused as soon as anything in them is not as it was. */
import { readFileSync } from 'node:fs'
import { gzipSync, gunzipSync } from 'node:zlib'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import type { Driver } from '../../src/core/driver.ts'
import { isHoldfastError } from '../../src/core/errors.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { backup, restore, verify, verifyBackup } from '../../src/ops/index.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { ODD, contentOf, seed } from './seed.ts'

const GOLDEN = readFileSync(join(import.meta.dirname, 'fixtures/backup-v1.ndjson'), 'utf8')

async function textOf(stream: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

/** What a refusal says of itself. */
async function refusal(work: Promise<unknown>): Promise<{ code: string; reason: unknown; line: unknown }> {
  try {
    await work
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    return { code: error.code, reason: error.details?.['reason'], line: error.details?.['line'] }
  }
  throw new Error('It was not refused')
}

const fresh = () => createDatabase({ driver: memory() })

describe('from driver to driver', () => {
  for (const from of engines) {
    for (const to of engines) {
      it(`${from.name} to ${to.name}: equal, with bytes, expiry, numbers and versions`, () =>
        withDirectory(async (directory) => {
          const source = await seed(await from.make(join(directory, 'from.db')))
          const text = await textOf(backup(source.db, { batch: 7 }))
          const target = createHoldfast({ driver: await to.make(join(directory, 'to.db')) })
          const result = await restore(target.db, () => [text], { batch: 5 })
          const content = await contentOf(source.db)
          expect(await contentOf(target.db)).toEqual(content)
          expect(result).toMatchObject({ written: content.length, entries: content.length, consistent: true })
          expect(await verify(target.db)).toMatchObject({ problems: 0, entries: content.length })
          // Restored data continues: logs after their last event, leases under their tokens, marks by their versions.
          expect(await target.persistence.append({ runId: ODD, workflow: 'order', kind: 'next' })).toMatchObject({
            seq: 3,
          })
          const claim = (await target.claims.getClaim('order-1', { stepId: 'charge' }))!
          await target.claims.extendTaskClaim(claim, 1000)
          expect(await target.idempotency.purgeOlderThan(8e15)).toBe(2)
          await source.close()
          await target.close()
        }))
    }
  }
})

describe('backup', () => {
  it('is of one tenant where asked to, and restores into a store that has others', async () => {
    const { db, forTenant } = await seed(memory())
    const text = await textOf(backup(db, { tenant: ODD }))
    const target = createHoldfast({ driver: memory() })
    await target.state.set('text', 'of the default tenant')
    expect(await restore(target.db, () => [text], { overwrite: true })).toMatchObject({ tenant: ODD, removed: 0 })
    expect(await target.state.get('text')).toBe('of the default tenant')
    expect(await target.forTenant(ODD).state.get('text')).toBe(await forTenant(ODD).state.get('text'))
  })

  it('tells that somebody has written meanwhile', async () => {
    const { db, state } = await seed(memory())
    const chunks: string[] = []
    const stream = backup(db, { batch: 1, onProgress: () => void state.set('another', 'value') })
    for await (const chunk of stream) chunks.push(chunk)
    expect((await verifyBackup(chunks)).consistent).toBe(false)
    expect((await verifyBackup(backup(db))).consistent).toBe(true)
    expect((await verifyBackup(backup(db, { verify: false }))).consistent).toBe(false)
  })

  describe('while a long run is written to before every request', () => {
    /** What a backup of it brings back, and what is wrong with that. */
    async function carried(batch: number) {
      const backend = memory()
      const writer = createHoldfast({ driver: backend })
      const { persistence, signals, workflows } = writer
      const event = { runId: 'long', workflow: 'order', kind: 'charged' }
      const change = async (n: number): Promise<void> => {
        await persistence.append({ ...event, idempotencyKey: `${n % 7} of ${n}` })
        await signals.sendMessage('long', 'news', n, { idempotencyKey: `${n % 5} of ${n}` })
        await workflows.saveTaskResult('long', `step ${n % 11} of ${n}`, n)
      }
      for (let n = 0; n < 100; n++) await change(n)
      let writes = 100
      const driver: Driver = {
        ...backend,
        async read(request, options) {
          await change(writes++)
          return backend.read(request, options)
        },
      }
      const source = createDatabase({ driver })
      const chunks: string[] = []
      const stream = backup(source, { batch, verify: false })
      for await (const chunk of stream) chunks.push(chunk)
      expect(writes).toBeGreaterThan(104)
      const target = createHoldfast({ driver: memory() })
      await restore(target.db, () => chunks)
      await verify(target.db, { repair: true })
      return { target, writes, left: await verify(target.db) }
    }

    it('the run is of one moment, and goes on after a restore', async () => {
      const { target, writes, left } = await carried(60)
      expect(left.first).toEqual([])
      const last = (await target.persistence.getLatestSeq('long'))!
      expect(last).toBeGreaterThan(100)
      expect(last).toBeLessThanOrEqual(writes)
      for (let n = 0; n <= writes; n++) {
        const { duplicate, seq } = await target.persistence.append({
          runId: 'long',
          workflow: 'order',
          kind: 'charged',
          idempotencyKey: `${n % 7} of ${n}`,
        })
        expect([n, duplicate, seq]).toEqual([n, n < last, n + 1])
      }
    })

    it('it is read page by page where it is too long to be held', async () => {
      const { left } = await carried(5)
      expect(left.first.map(({ kind }) => kind)).toContain('mismatch')
    })
  })

  it('stops by its signal', async () => {
    const { db } = await seed(memory())
    const stop = new AbortController()
    const stream = backup(db, { batch: 1, signal: stop.signal, onProgress: () => stop.abort() })
    expect(await refusal(textOf(stream))).toMatchObject({ code: 'ABORTED' })
  })

  it('refuses a malformed batch and tenant', async () => {
    for (const options of [{ batch: 0 }, { batch: 1.5 }, { batch: 10_001 }, { tenant: '' }]) {
      expect(await refusal(textOf(backup(fresh(), options)))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  it('holds a store of nothing', async () => {
    const text = await textOf(backup(fresh()))
    expect(text.split('\n').length).toBe(4)
    expect(await restore(fresh(), () => [text])).toMatchObject({ entries: 0, written: 0, consistent: true })
  })
})

describe('the format', () => {
  it('of version 1 stays restorable', async () => {
    const target = createHoldfast({
      driver: memory({ clock: () => 1_767_225_600_000 }),
      clock: () => 1_767_225_600_000,
    })
    expect(await restore(target.db, () => [GOLDEN])).toMatchObject({ written: GOLDEN.match(/^{"part"/gm)!.length })
    expect(await target.state.get('bytes')).toEqual(new Uint8Array([0, 1, 245, 255]))
    expect((await target.persistence.load(ODD))?.events).toMatchObject([
      { kind: 'begun' },
      { payload: { amount: 42n } },
    ])
    expect(await verify(target.db)).toMatchObject({ problems: 0 })
    // What is written now says the same of every entry.
    const entriesOf = (text: string) => text.match(/^{"part".*$/gm)
    expect(entriesOf(await textOf(backup(target.db)))).toEqual(entriesOf(GOLDEN))
  })

  it('is read from bytes cut anywhere, and compressed', async () => {
    const bytes = new Uint8Array(gunzipSync(gzipSync(GOLDEN)))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end))
        expect((await verifyBackup(pieces)).entries).toBe(GOLDEN.match(/^{"part"/gm)!.length)
      }),
      { numRuns: 50 },
    )
  })

  it('shows every flipped bit, and where', async () => {
    const bytes = new TextEncoder().encode(GOLDEN)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
        const damaged = bytes.slice()
        damaged[at]! ^= 1 << bit
        const db = fresh()
        const { code, line } = await refusal(restore(db, () => [damaged]))
        expect(code).toBe('SERIALIZATION')
        expect(line).toBeGreaterThan(0)
        expect(await contentOf(db)).toEqual([])
      }),
      { numRuns: 400 },
    )
  })

  it('shows that its end is missing, wherever it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(GOLDEN.length - 1), async (length) => {
        const db = fresh()
        expect(await refusal(restore(db, () => [GOLDEN.slice(0, length)]))).toMatchObject({ code: 'SERIALIZATION' })
        expect(await contentOf(db)).toEqual([])
      }),
      { numRuns: 100 },
    )
    expect(await refusal(verifyBackup([GOLDEN.slice(0, -1)]))).toMatchObject({ reason: 'truncated' })
    expect(await refusal(verifyBackup([GOLDEN.split('\n').slice(0, 20).join('\n')]))).toMatchObject({
      reason: 'truncated',
    })
  })

  describe('of a small backup', () => {
    const small = async (): Promise<Uint8Array> => {
      const { db, state, persistence } = createHoldfast({ driver: memory() })
      await state.set('text', 'Grüße')
      await state.set('bytes', new Uint8Array([0, 255]), { ttl: 3_600_000 })
      await persistence.append({ runId: 'r', workflow: 'w', kind: 'begun' })
      return new TextEncoder().encode(await textOf(backup(db)))
    }

    it('every bit of every byte shows', async () => {
      const bytes = await small()
      expect((await verifyBackup([bytes])).entries).toBeGreaterThan(4)
      for (let at = 0; at < bytes.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          const damaged = bytes.slice()
          damaged[at]! ^= 1 << bit
          const { code, line } = await refusal(verifyBackup([damaged]))
          expect([at, bit, code, Number(line) > 0]).toEqual([at, bit, 'SERIALIZATION', true])
        }
      }
    })

    it('every missing end shows', async () => {
      const bytes = await small()
      for (let length = 0; length < bytes.length; length++) {
        const { code, line } = await refusal(verifyBackup([bytes.subarray(0, length)]))
        expect([length, code, Number(line) >= 0]).toEqual([length, 'SERIALIZATION', true])
      }
    })
  })

  it('shows lines that were exchanged, doubled, left out or added', async () => {
    const lines = GOLDEN.split('\n')
    const changed = [
      lines.with(3, lines[4]!).with(4, lines[3]!),
      lines.toSpliced(3, 1),
      lines.toSpliced(3, 0, lines[3]!),
      [...lines.slice(0, -1), lines[3]!, ''],
    ]
    for (const text of changed) {
      expect(await refusal(verifyBackup([text.join('\n')]))).toMatchObject({ code: 'SERIALIZATION' })
    }
  })

  it('tells what is no backup, and what is a newer one', async () => {
    expect(await refusal(verifyBackup(['{"some":"json"}\n']))).toMatchObject({ reason: 'malformed', line: 1 })
    expect(await refusal(verifyBackup(['']))).toMatchObject({ reason: 'truncated' })
    const newer = await sealedText('{"holdfast":"backup","format":2}\n{"end":true}\n')
    expect(await refusal(verifyBackup([newer]))).toMatchObject({ reason: 'unsupported_version', line: 1 })
  })

  it('refuses what no release writes, though it is sealed', async () => {
    const header = '{"holdfast":"backup","format":1,"driver":"x","createdAt":1}\n'
    const entry = (key: string, more = '"text":""') => `{"part":"p","key":"${key}","version":"v",${more}}\n`
    const end = (n: number) => `{"end":true,"entries":${n},"consistent":true}\n`
    expect((await verifyBackup([await sealedText(header + entry('a') + end(1))])).entries).toBe(1)
    for (const text of [
      header + entry('b') + entry('a') + end(2),
      header + entry('a') + end(2),
      header + entry('a', '"text":"","bytes":""') + end(1),
      header + entry('a', '"expiresAt":"soon"') + end(1),
      header + entry('ä') + end(1),
      header + 'no json\n' + end(0),
    ]) {
      expect(await refusal(verifyBackup([await sealedText(text)]))).toMatchObject({ reason: 'malformed' })
    }
  })
})

/** A chunk with its seal, whatever it says. */
async function sealedText(chunk: string): Promise<string> {
  const { createHash } = await import('node:crypto')
  return `${chunk}{"seal":1,"sha256":"${createHash('sha256').update(chunk).digest('hex')}"}\n`
}

describe('restore', () => {
  it('writes nothing where the store holds something else, and replaces it where allowed', async () => {
    const { db } = await seed(memory())
    const text = await textOf(backup(db))
    const target = createHoldfast({ driver: memory() })
    await target.state.set('zzz', 'mine')
    await target.persistence.append({ runId: 'order-1', workflow: 'other', kind: 'mine' })
    const before = await contentOf(target.db)
    expect(await refusal(restore(target.db, () => [text]))).toMatchObject({ code: 'CONFLICT' })
    expect(await contentOf(target.db)).toEqual(before)
    expect(await restore(target.db, () => [text], { overwrite: true })).toMatchObject({ present: 0 })
    expect(await contentOf(target.db)).toEqual(await contentOf(db))
  })

  it('goes on where it was cut off, and does nothing a second time', async () => {
    const { db } = await seed(memory())
    const text = await textOf(backup(db))
    const content = await contentOf(db)
    const target = fresh()
    const stop = new AbortController()
    const cut = restore(target, () => [text], { batch: 10, signal: stop.signal, onProgress: () => stop.abort() })
    expect(await refusal(cut)).toMatchObject({ code: 'ABORTED' })
    const there = (await contentOf(target)).length
    expect(there).toBeGreaterThan(0)
    expect(there).toBeLessThan(content.length)
    expect(await restore(target, () => [text])).toMatchObject({ written: content.length - there, present: there })
    expect(await restore(target, () => [text])).toMatchObject({ written: 0, present: content.length })
    expect(await contentOf(target)).toEqual(content)
  })

  it('leaves out what has expired by then', async () => {
    let time = Date.UTC(2026, 0, 1)
    const clock = () => time
    const { db } = await seed(memory({ clock }), clock)
    const text = await textOf(backup(db))
    time += 7_200_000
    const target = createHoldfast({ driver: memory({ clock }), clock })
    const { expired, written, entries } = await restore(target.db, () => [text])
    expect(expired).toBeGreaterThan(3)
    expect(expired + written).toBe(entries)
    expect(await contentOf(target.db)).toEqual(await contentOf(db))
    expect(await target.state.get('brief')).toBeUndefined()
  })

  it('refuses a value that does not fit, before it writes', async () => {
    const { db } = await seed(memory())
    const text = await textOf(backup(db))
    const driver = memory()
    const { capabilities } = driver
    const small = { ...driver, capabilities: { ...capabilities, limits: { ...capabilities.limits, valueBytes: 100 } } }
    const target = createDatabase({ driver: small })
    expect(await refusal(restore(target, () => [text]))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    expect(await contentOf(target)).toEqual([])
  })

  it('refuses a source that can be read only once', async () => {
    const { db } = await seed(memory())
    const once = backup(db) as unknown as () => AsyncIterable<string>
    expect(await refusal(restore(fresh(), once))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
