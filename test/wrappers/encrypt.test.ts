import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import type { CommitRequest, Driver, Entry, PartPage } from '../../src/core/driver.ts'
import { createDatabase } from '../../src/core/database.ts'
import { memory } from '../../src/drivers/memory.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { type Handler, createHandler, remote } from '../../src/served/http/index.ts'
import { type Case, type Harness, cases } from '../../src/testing/index.ts'
import { register } from '../../src/testing/suite.ts'
import { compress } from '../../src/wrappers/compress.ts'
import { type EncryptOptions, encrypt, idHash } from '../../src/wrappers/encrypt.ts'
import { prefix } from '../../src/wrappers/prefix.ts'
import { retry } from '../../src/wrappers/retry.ts'
import { engineNamed, openBetterSqlite3, withDirectory } from '../support/engines.ts'
import { slice } from '../support/slice.ts'
import { PART, append, at, conformanceOver, entriesOf, errorOf, get, put, request } from './support.ts'

const KEY = new Uint8Array(32).map((_, i) => i)
const OLD = new Uint8Array(16).map((_, i) => 255 - i)
const KEYS = { keys: { k1: KEY }, current: 'k1' }
/** The text `v` at `k`, by the first op of the commit `c`. */
const FIXED = '0200026b31f66f43f5c062bdca1001cfdd8c5b224aed98a688f23a61f2a9c14006a4'
/** For cases that keep references under names of their own. */
const ANYWHERE = { ...KEYS, refs: () => true }

conformanceOver('memory, encrypted', (driver) => encrypt(driver, ANYWHERE))

/** SQLite that recognises repeats. */
async function recognising(path: string): Promise<Driver> {
  const db = await openBetterSqlite3(path)
  const driver = sqlite({ db, replayWindow: 600_000 })
  return { ...driver, close: async () => (await driver.close(), void db.close()) }
}

function overSqlite(name: string, wrap: (driver: Driver) => Driver, chosen: readonly Case[]): void {
  const harness: Harness = {
    name,
    async create() {
      let time = Date.UTC(2026, 0, 1)
      const db = await openBetterSqlite3(':memory:')
      const driver = sqlite({ db, replayWindow: 600_000, clock: () => time })
      return { driver: wrap(driver), advance: (ms) => void (time += ms), dispose: async () => void db.close() }
    },
  }
  register(chosen, { harness, describe, it })
}

overSqlite(
  'better-sqlite3, compressed and encrypted',
  (driver) => compress(encrypt(driver, ANYWHERE), { threshold: 64 }),
  slice,
)
const repeats = cases.filter(({ id }) => /^DR-(?:8|14|15)/.test(id))
overSqlite('better-sqlite3, repeated below the encryption', (driver) => encrypt(retry(driver), ANYWHERE), repeats)
overSqlite('better-sqlite3, encrypted in a view', (driver) => encrypt(prefix(driver, 'acme'), ANYWHERE), repeats)

const bytesOf = (entry: Entry | null): Uint8Array => entry!.value as Uint8Array

describe('a record', () => {
  const header = (flags: number, version = 2): Buffer => Buffer.from([version, flags, 2, ...Buffer.from('k1')])
  /** The first 32 bytes under the nonce 0, of AES-GCM. */
  const hashKey = createCipheriv('aes-256-gcm', KEY, Buffer.alloc(12)).update(Buffer.alloc(32))
  const sealedBy = (nonce: Buffer, head: Buffer, place: string, plain: Uint8Array): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', KEY, nonce)
    cipher.setAAD(Buffer.concat([head, Buffer.from(place)]))
    return Buffer.concat([head, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
  const sealed = (flags: number, key: string, write: readonly [string, number], plain: Uint8Array): Buffer => {
    const hmac = createHmac('sha256', hashKey)
      .update(header(flags))
      .update(JSON.stringify([PART, key, ...write]))
    return sealedBy(hmac.update(plain).digest().subarray(0, 12), header(flags), `${PART}\n${key}`, plain)
  }
  const recordIn = async (driver: Driver, key: string, part?: string): Promise<Buffer> =>
    Buffer.from(bytesOf(await get(driver, key, part)))

  test('is, byte for byte, what another implementation makes of it', async () => {
    const inner = memory()
    const it = request(put('text', 'Grüße'), put('bytes', new Uint8Array([0, 255])), append('entry'))
    await encrypt(inner, KEYS).commit(it)
    expect(await recordIn(inner, 'text')).toEqual(sealed(0, 'text', [it.id, 0], Buffer.from('Grüße')))
    expect(await recordIn(inner, 'bytes')).toEqual(sealed(1, 'bytes', [it.id, 1], Buffer.from([0, 255])))
    expect(await recordIn(inner, 'log!0000000000000001')).toEqual(sealed(2, 'log!', [it.id, 2], Buffer.from('entry')))
  })

  test('is fixed for good', async () => {
    const inner = memory()
    const driver = encrypt(inner, KEYS)
    await driver.commit({ id: 'r', commits: [{ id: 'c', checks: [], ops: [put('k', 'v')], durability: 'strict' }] })
    expect((await recordIn(inner, 'k')).toString('hex')).toBe(FIXED)
  })

  test('of format 1 is read, though it had a random nonce', async () => {
    const inner = memory()
    const old = '0100026b316465666768696a6b6c6d6e6f3e479c383c9279a76cbbf6fa430288e3a1'
    await inner.commit(request(put('k', Buffer.from(old, 'hex'))))
    expect((await get(encrypt(inner, KEYS), 'k'))?.value).toBe('v')
    const entry = sealedBy(randomBytes(12), header(3, 1), `${PART}\nlog!`, Buffer.from([7]))
    await inner.commit(request(put('log!0000000000000001', entry)))
    expect((await get(encrypt(inner, KEYS), 'log!0000000000000001'))?.value).toEqual(new Uint8Array([7]))
    expect(
      sealedBy(Buffer.from(old, 'hex').subarray(5, 17), header(0, 1), `${PART}\nk`, Buffer.from('v')).toString('hex'),
    ).toBe(old)
  })

  test('has a nonce of its own wherever anything differs, and the same for a repeat', async () => {
    const records = async (make: (id: string) => CommitRequest): Promise<string[]> => {
      const inner = memory()
      for (const id of ['c1', 'c2']) await encrypt(inner, KEYS).commit(make(id))
      return (await entriesOf(inner)).map((entry) => Buffer.from(bytesOf(entry)).toString('hex'))
    }
    const same = (id: string): CommitRequest => {
      const puts = Array.from({ length: 50 }, (_, i) => put(`k${id}${i}`, 'same'))
      const ops = [
        ...puts,
        append('same'),
        append('same'),
        put(`b${id}`, new TextEncoder().encode('same')),
        put(`o${id}`, 'other'),
      ]
      return { id, commits: [{ id, checks: [], ops, durability: 'strict' }] }
    }
    const first = await records(same)
    expect(new Set(first.map((record) => record.slice(10, 34))).size).toBe(108)
    expect(await records(same)).toEqual(first)
  })

  test('can be made with a key that cannot be exported', async () => {
    const key = await crypto.subtle.importKey('raw', KEY, 'AES-GCM', false, ['encrypt', 'decrypt'])
    const [inner, other] = [memory(), memory()]
    const it = request(put('k', 'v'))
    await encrypt(inner, { keys: { k1: key }, current: 'k1' }).commit(it)
    expect((await get(encrypt(inner, KEYS), 'k'))?.value).toBe('v')
    await encrypt(other, KEYS).commit(it)
    expect(await get(other, 'k')).toEqual(await get(inner, 'k'))
  })
})

/** What stands at a key of the backend is refused, with this reason, wherever it comes back. */
async function refusal(driver: Driver, key = 'k', part = PART): Promise<unknown> {
  const got = await errorOf(get(driver, key, part))
  const paged = await errorOf(entriesOf(driver, part))
  expect([got.code, paged.code]).toEqual(['SERIALIZATION', 'SERIALIZATION'])
  expect(got.message).not.toContain('secret')
  // What became of a commit is told, with what can be told of a check: never with a value.
  const it = request(put('other', 'v'))
  const checks = [{ at: at(key, part), version: 'none' }]
  const { outcomes } = await driver.commit({ ...it, commits: [{ ...it.commits[0]!, checks }] })
  expect(outcomes).toEqual([
    { ok: false, failed: [{ check: 0, current: { key, version: expect.any(String), expiresAt: null } }] },
  ])
  return got.details?.['reason']
}

describe('what fails closed', () => {
  async function setting() {
    const inner = memory()
    const driver = encrypt(inner, KEYS)
    await driver.commit(request(put('k', 'secret')))
    const record = bytesOf(await get(inner, 'k'))
    const replaced = async (value: string | Uint8Array, key = 'k', part = PART): Promise<unknown> => {
      await inner.commit(request({ deletePart: PART }, put(key, value, part)))
      return refusal(driver, key, part)
    }
    return { inner, driver, record, replaced }
  }

  test('every changed bit', async () => {
    const { record, replaced } = await setting()
    for (let bit = 0; bit < record.length * 8; bit++) {
      const changed = new Uint8Array(record)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(await replaced(changed)).not.toBe(undefined)
    }
  })

  test('every cut, and anything added', async () => {
    const { record, replaced } = await setting()
    for (let size = 0; size < record.length; size++) {
      expect(await replaced(record.subarray(0, size))).toMatch(/truncated|tampered/)
    }
    expect(await replaced(new Uint8Array([...record, 0]))).toBe('tampered')
  })

  test('plain text, plain bytes, and numbers where no reference can be', async () => {
    const { replaced } = await setting()
    for (const value of ['secret', '', '{"a":1}', '1', '0', '12345678901234567']) {
      expect(await replaced(value)).toBe('plaintext')
    }
    expect(await replaced(new Uint8Array(100))).toBe('unsupported_version')
    expect(await replaced('not a number', 'idempotency!x')).toBe('plaintext')
    expect(await replaced('01', 'sent!x')).toBe('plaintext')
  })

  test('a record of another key, another part, or a log', async () => {
    const { inner, driver, record, replaced } = await setting()
    expect(await replaced(record, 'k2')).toBe('tampered')
    expect(await replaced(record, 'k', 'default!run!r1')).toBe('tampered')
    await driver.commit(request(append('secret')))
    const entry = bytesOf(await get(inner, 'log!0000000000000001'))
    expect(await replaced(entry)).toBe('tampered')
    expect(await replaced(entry, 'other!0000000000000001')).toBe('tampered')
    expect(await replaced(entry, 'log!0000000000000001', 'default!run!r1')).toBe('tampered')
    expect(await replaced(record, 'log!0000000000000001')).toBe('tampered')
  })

  test('a key that is not known, and another one of the same name', async () => {
    const { inner, driver } = await setting()
    expect(await refusal(encrypt(inner, { keys: { k2: KEY }, current: 'k2' }))).toBe('unknown_key')
    expect(await refusal(encrypt(inner, { keys: { k1: OLD }, current: 'k1' }))).toBe('tampered')
    expect((await get(driver, 'k'))?.value).toBe('secret')
  })

  test('a record of this format as one of the former', async () => {
    const { record, replaced } = await setting()
    expect(await replaced(new Uint8Array([1, ...record.subarray(1)]))).toBe('tampered')
  })

  test('but what took effect is told, whatever stands beside it', async () => {
    const { inner, driver } = await setting()
    await inner.commit(request(put('k', 'exchanged')))
    const [write, fail] = [request(put('written', 'v')), request(put('never', 'v'))]
    const commits = [...write.commits, { ...fail.commits[0]!, checks: [{ at: at('k'), version: null }] }]
    const { outcomes } = await driver.commit({ id: 'both', commits })
    expect(outcomes).toMatchObject([{ ok: true }, { ok: false, failed: [{ check: 0, current: { key: 'k' } }] }])
    expect((await get(driver, 'written'))?.value).toBe('v')
  })

  test('but the driver may keep its numbers', async () => {
    const { driver } = await setting()
    await driver.commit(request(append('secret', 'idempotency!x')))
    expect((await get(driver, 'idempotency!x'))?.value).toBe('1')
    const error = await errorOf(driver.commit(request(append('never', 'elsewhere'))))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect((await entriesOf(driver)).length).toBe(3)
  })
})

describe('the number up to which a log was trimmed', () => {
  const TRIMMED = 'log!0000000000000000'

  test('is plain, where the driver reads it', async () => {
    const inner = memory()
    const driver = encrypt(inner, KEYS)
    await driver.commit(request(append('a'), append('b'), append('c')))
    await driver.commit(request({ trim: at('log!'), through: 2 }))
    expect((await entriesOf(driver)).map(({ value }) => value)).toEqual(['2', 'c'])
    // As a restore puts it.
    await driver.commit(request({ deletePart: PART }, put(TRIMMED, '7')))
    expect((await get(inner, TRIMMED))?.value).toBe('7')
    expect((await driver.commit(request(append('d')))).outcomes).toEqual([{ ok: true, seqs: [8] }])
  })

  test('is accepted at no other key, and no entry of the log in its place', async () => {
    const inner = memory()
    const driver = encrypt(inner, KEYS)
    const run = 'default!run!r'
    await driver.commit(request(append('secret')))
    const entry = bytesOf(await get(inner, 'log!0000000000000001'))
    for (const [key, value, part] of [
      ['log!0000000000000001', '7'],
      ['0000000000000000', '7'],
      ['log!00000000000000000', '7'],
      [TRIMMED, '07'],
      [TRIMMED, '0'],
      [TRIMMED, 'text'],
      [TRIMMED, entry],
      // The name of a value, not a number.
      ['value!0000000000000000', '7', run],
      ['message!0000000000000000', '7', run],
    ] as const) {
      await inner.commit(request({ deletePart: PART }, put(key, value, part)))
      expect(await refusal(driver, key, part)).toBe(value === entry ? 'tampered' : 'plaintext')
    }
  })

  test('is not what a value of that name is taken for', async () => {
    const inner = memory()
    const { state } = createHoldfast({ driver: encrypt(inner, KEYS) })
    await state.set('0000000000000000', '4711', { runId: 'r' })
    expect(await state.get('0000000000000000', { runId: 'r' })).toBe('4711')
    expect((await get(inner, 'value!0000000000000000', 'default!run!r'))?.value).toBeInstanceOf(Uint8Array)
  })
})

describe('views of tenants who share a key', () => {
  const orders: Record<string, (driver: Driver, tenant: string) => Driver> = {
    'encrypted above': (driver, tenant) => encrypt(prefix(driver, tenant), KEYS),
    'encrypted below': (driver, tenant) => prefix(encrypt(driver, KEYS), tenant),
    'encrypted above, with retries between': (driver, tenant) => encrypt(retry(prefix(driver, tenant)), KEYS),
    'encrypted above two views': (driver, tenant) => encrypt(prefix(prefix(driver, tenant), 'inner'), KEYS),
    'with hidden names, above': (driver, tenant) => encrypt(prefix(driver, tenant), { ...KEYS, names: KEY }),
  }

  test.each(Object.entries(orders))('%s: a record that was moved to another tenant is refused', async (_, view) => {
    const inner = memory()
    const [a, b] = [view(inner, 'a'), view(inner, 'b')]
    await a.commit(request(put('k', 'of a'), append('of a')))
    await b.commit(request(put('k', 'of b'), append('of b')))
    const [{ parts }] = (await inner.read([{ parts: { start: ' ', end: '~~', limit: 9 } }])).answers as [PartPage]
    const [ofA, ofB] = parts as [string, string]
    for (const { key, value } of await entriesOf(inner, ofB)) await inner.commit(request(put(key, value, ofA)))
    for (const key of ['k', 'log!0000000000000001'])
      expect((await errorOf(get(a, key))).details).toEqual({ reason: 'tampered' })
    expect((await get(b, 'k'))?.value).toBe('of b')
  })

  test('both orders make the same records', async () => {
    const [one, two] = [memory(), memory()]
    const it = request(put('k', 'v'), append('entry'))
    await orders['encrypted above']!(one, 'a').commit(it)
    await orders['encrypted below']!(two, 'a').commit(it)
    const part = `a!!${PART}`
    expect(await entriesOf(one, part)).toEqual(await entriesOf(two, part))
    expect((await entriesOf(one, part)).length).toBe(2)
  })
})

describe('a repeat', () => {
  const handlerOver = (driver: Driver): Handler => createHandler(driver, { authorize: () => 'acme' })
  const wrapped: Record<string, (driver: Driver) => Driver> = {
    encrypted: (driver) => encrypt(driver, KEYS),
    'encrypted with names': (driver) => encrypt(driver, { ...KEYS, names: KEY }),
    'compressed and encrypted': (driver) => compress(encrypt(driver, KEYS), { threshold: 100 }),
  }

  test.each(Object.entries(wrapped))('that reaches another process is recognised: %s', async (_, wrap) => {
    await withDirectory(async (directory) => {
      const path = join(directory, 'a.db')
      const ops = [put('k', 'text '.repeat(100)), put('b', new Uint8Array(300)), append('entry')]
      const commits = [{ id: 'c1', checks: [], ops, durability: 'strict' as const }]
      const refused = [{ id: 'c2', checks: [{ at: at('k'), version: null }], ops, durability: 'strict' as const }]
      for (let n = 0; n < 3; n++) {
        const driver = wrap(await recognising(path))
        await driver.open()
        const caller = remote({
          url: 'http://127.0.0.1/',
          fetch: (url, init) => handlerOver(driver)(new Request(url, init)),
        })
        expect((await caller.commit(structuredClone({ id: 'r1', commits }))).outcomes).toEqual([
          { ok: true, seqs: [1] },
        ])
        expect((await caller.commit({ id: 'r2', commits: refused })).outcomes).toMatchObject([{ ok: false }])
        const other = { ...commits[0]!, ops: [...ops.slice(0, 2), append('other')] }
        expect((await errorOf(caller.commit({ id: 'r1', commits: [other] }))).code).toBe('CONFLICT')
        await driver.close()
      }
    })
  })

  test('under another key than the first is refused, and not executed', async () => {
    const inner = await recognising(':memory:')
    await inner.open()
    const keys = { k1: KEY, old: OLD }
    const it = request(append('once'))
    await encrypt(inner, { keys, current: 'old' }).commit(it)
    const driver = encrypt(inner, { keys, current: 'k1' })
    expect((await errorOf(driver.commit(it))).code).toBe('CONFLICT')
    expect((await entriesOf(driver)).length).toBe(1)
    await inner.close()
  })
})

test('keysOnly needs no key at all', async () => {
  const inner = memory()
  await encrypt(inner, KEYS).commit(request(put('k', 'v')))
  const other = encrypt(inner, { keys: { k2: OLD }, current: 'k2' })
  const range = { part: PART, start: ' ', end: '~~', limit: 10, keysOnly: true }
  expect((await other.read([{ range }])).answers).toMatchObject([{ entries: [{ key: 'k', value: '' }] }])
})

describe('rotation', () => {
  test('values of the old key stay readable, and are of the new one when written again', async () => {
    const inner = memory()
    await encrypt(inner, { keys: { old: OLD }, current: 'old' }).commit(request(put('a', 'v'), put('b', 'v')))
    const both = encrypt(inner, { keys: { old: OLD, k1: KEY }, current: 'k1' })
    expect((await entriesOf(both)).map((entry) => entry.value)).toEqual(['v', 'v'])
    await both.commit(request(put('a', 'w')))
    const after = encrypt(inner, KEYS)
    expect((await get(after, 'a'))?.value).toBe('w')
    expect((await errorOf(get(after, 'b'))).details).toEqual({ reason: 'unknown_key' })
  })
})

describe('the database on disk', () => {
  test('holds no value in plain text, and no name that was hashed', async () => {
    await withDirectory(async (directory) => {
      const engine = engineNamed('better-sqlite3')
      const hash = idHash(randomBytes(32))
      const fill = async (file: string, wrap: (driver: Driver) => Driver, name: (id: string) => Promise<string>) => {
        const holdfast = createHoldfast({
          driver: wrap(await engine.make(join(directory, file))),
          tenant: await name('needle-tenant'),
        })
        await holdfast.state.set(await name('needle-name'), 'needle-text '.repeat(300))
        await holdfast.state.setJson('json', { secret: 'needle-json' })
        await holdfast.state.set('bytes', new TextEncoder().encode('needle-bytes'))
        const run = { runId: await name('needle-run'), workflow: 'needle-workflow' }
        await holdfast.persistence.append({ ...run, kind: 'needle-kind', payload: { of: 'needle-payload' } })
        expect(await holdfast.state.get(await name('needle-name'))).toBe('needle-text '.repeat(300))
        await holdfast.close()
      }
      const found = (file: string): string[] => {
        const all = readdirSync(directory)
          .filter((name) => name.startsWith(file))
          .map((name) => readFileSync(join(directory, name)).toString('latin1'))
          .join('\n')
        return [...new Set(all.match(/needle-(?:tenant|name|text|json|bytes|run|workflow|kind|payload)/g))].toSorted()
      }
      const open = (driver: Driver): Driver => driver
      const closed = (driver: Driver): Driver => compress(encrypt(driver, KEYS))
      await fill('open.db', open, async (id) => id)
      await fill('values.db', closed, async (id) => id)
      await fill('all.db', closed, hash)
      expect(found('open.db')).toEqual(expect.arrayContaining(['needle-text', 'needle-payload', 'needle-run']))
      expect(found('values.db')).toEqual(['needle-name', 'needle-run', 'needle-tenant'])
      expect(found('all.db')).toEqual([])
    })
  })
})

test('the hash of an id is HMAC-SHA-256', async () => {
  expect(await idHash(KEY)('ada@example.com')).toBe(createHmac('sha256', KEY).update('ada@example.com').digest('hex'))
  await expect(idHash(KEY)('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(() => idHash(new Uint8Array(15))).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

describe('limits', () => {
  test('shrink by what a record adds, of the longest id of a key', () => {
    const inner = memory()
    const driver = encrypt(inner, { keys: { k1: KEY, 'a longer one': OLD }, current: 'k1' })
    const { valueBytes, valueOverhead } = driver.capabilities.limits
    expect([valueBytes, valueOverhead]).toEqual([inner.capabilities.limits.valueBytes - 43, 43])
    expect(compress(driver).capabilities.limits.valueOverhead).toBe(45)
  })

  test('hold underneath, however small the values are', async () => {
    const inner = memory()
    const limits = { ...inner.capabilities.limits, requestBytes: 4000 }
    const sizes: number[] = []
    const small: Driver = {
      ...inner,
      capabilities: { ...inner.capabilities, limits },
      async commit(it) {
        const ops = it.commits.flatMap((commit) => commit.ops)
        const size = (op: (typeof ops)[number]) => ('put' in op ? op.put.part + op.put.key : '').length
        sizes.push(ops.reduce((sum, op) => sum + size(op) + ('value' in op ? op.value.length : 0), 0))
        return inner.commit(it)
      },
    }
    const db = createDatabase({ driver: encrypt(small, KEYS) })
    await Promise.all(Array.from({ length: 300 }, (_, i) => db.commit({ ops: [put(`k${i}`, '')] })))
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4000)
    expect(sizes.length).toBeGreaterThan(4)
  })
})

test('malformed keys are refused', () => {
  const malformed: Partial<EncryptOptions>[] = [
    {},
    { keys: {}, current: 'k1' },
    { keys: { k1: KEY }, current: 'toString' },
    { keys: { k1: new Uint8Array(31) }, current: 'k1' },
    { keys: { k1: 'text' as unknown as Uint8Array }, current: 'k1' },
    { keys: { k1: undefined as unknown as Uint8Array }, current: 'k1' },
    { keys: { '': KEY }, current: '' },
    { keys: { ['x'.repeat(65)]: KEY }, current: 'x'.repeat(65) },
    { keys: { é: KEY }, current: 'é' },
  ]
  for (const options of malformed) {
    expect(() => encrypt(memory(), options as EncryptOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  }
})
