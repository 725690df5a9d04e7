import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import type { Driver, Entry } from '../../src/core/driver.ts'
import { createDatabase } from '../../src/core/database.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { register } from '../../src/testing/suite.ts'
import { compress } from '../../src/wrappers/compress.ts'
import { type EncryptOptions, encrypt, idHash } from '../../src/wrappers/encrypt.ts'
import { engineNamed, withDirectory } from '../support/engines.ts'
import { slice } from '../support/slice.ts'
import { PART, append, at, conformanceOver, entriesOf, errorOf, get, put, request } from './support.ts'

const KEY = new Uint8Array(32).map((_, i) => i)
const OLD = new Uint8Array(16).map((_, i) => 255 - i)
const KEYS = { keys: { k1: KEY }, current: 'k1' }
/** For cases that keep references under names of their own. */
const ANYWHERE = { ...KEYS, refs: () => true }

conformanceOver('memory, encrypted', (driver) => encrypt(driver, ANYWHERE))

const stacked = engineNamed('better-sqlite3')
register(slice, {
  harness: {
    name: 'better-sqlite3, compressed and encrypted',
    async create() {
      let time = Date.UTC(2026, 0, 1)
      const driver = await stacked.make(':memory:', () => time)
      return { driver: compress(encrypt(driver, ANYWHERE), { threshold: 64 }), advance: (ms) => void (time += ms) }
    },
  },
  describe,
  it,
})

const bytesOf = (entry: Entry | null): Uint8Array => entry!.value as Uint8Array

describe('a record', () => {
  const NONCE = new Uint8Array(12).map((_, i) => 100 + i)
  const fixed = (): [Driver, Driver] => {
    const inner = memory()
    return [inner, encrypt(inner, { ...KEYS, random: () => NONCE })]
  }
  const header = (flags: number): Buffer => Buffer.from([1, flags, 2, ...Buffer.from('k1')])
  const sealed = (flags: number, place: string, plain: Uint8Array): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', KEY, NONCE)
    cipher.setAAD(Buffer.concat([header(flags), Buffer.from(place)]))
    return Buffer.concat([header(flags), NONCE, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  test('is, byte for byte, what another implementation makes of it', async () => {
    const [inner, driver] = fixed()
    await driver.commit(request(put('text', 'Grüße'), put('bytes', new Uint8Array([0, 255])), append('entry')))
    expect(Buffer.from(bytesOf(await get(inner, 'text')))).toEqual(sealed(0, `${PART}\ntext`, Buffer.from('Grüße')))
    expect(Buffer.from(bytesOf(await get(inner, 'bytes')))).toEqual(sealed(1, `${PART}\nbytes`, Buffer.from([0, 255])))
    const log = await get(inner, 'log!0000000000000001')
    expect(Buffer.from(bytesOf(log))).toEqual(sealed(2, `${PART}\nlog!`, Buffer.from('entry')))
  })

  test('is fixed for good', async () => {
    const [inner, driver] = fixed()
    await driver.commit(request(put('k', 'v')))
    expect(Buffer.from(bytesOf(await get(inner, 'k'))).toString('hex')).toBe(
      '0100026b316465666768696a6b6c6d6e6f3e479c383c9279a76cbbf6fa430288e3a1',
    )
  })

  test('has a nonce of its own, which another implementation can read', async () => {
    const inner = memory()
    const driver = encrypt(inner, KEYS)
    await driver.commit(request(...Array.from({ length: 200 }, (_, i) => put(`k${i}`, 'same'))))
    const records = (await entriesOf(inner)).map((entry) => Buffer.from(bytesOf(entry)))
    expect(new Set(records.map((record) => record.subarray(5, 17).toString('hex'))).size).toBe(200)
    const decipher = createDecipheriv('aes-256-gcm', KEY, records[0]!.subarray(5, 17))
    decipher.setAAD(Buffer.concat([header(0), Buffer.from(`${PART}\nk0`)]))
    decipher.setAuthTag(records[0]!.subarray(-16))
    expect(decipher.update(records[0]!.subarray(17, -16)).toString() + decipher.final('utf8')).toBe('same')
  })

  test('can be made with a key that cannot be exported', async () => {
    const key = await crypto.subtle.importKey('raw', KEY, 'AES-GCM', false, ['encrypt', 'decrypt'])
    const inner = memory()
    await encrypt(inner, { keys: { k1: key }, current: 'k1' }).commit(request(put('k', 'v')))
    expect((await get(encrypt(inner, KEYS), 'k'))?.value).toBe('v')
  })
})

/** What stands at a key of the backend is refused, with this reason, wherever it comes back. */
async function refusal(driver: Driver, key = 'k', part = PART): Promise<unknown> {
  const got = await errorOf(get(driver, key, part))
  const paged = await errorOf(entriesOf(driver, part))
  const it = request(put('other', 'v'))
  const checks = [{ at: at(key, part), version: 'none' }]
  const refused = await errorOf(driver.commit({ ...it, commits: [{ ...it.commits[0]!, checks }] }))
  expect([got.code, paged.code, refused.code]).toEqual(['SERIALIZATION', 'SERIALIZATION', 'SERIALIZATION'])
  expect(got.message).not.toContain('secret')
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

  test('but the driver may keep its numbers', async () => {
    const { driver } = await setting()
    await driver.commit(request(append('secret', 'idempotency!x')))
    expect((await get(driver, 'idempotency!x'))?.value).toBe('1')
    const error = await errorOf(driver.commit(request(append('never', 'elsewhere'))))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect((await entriesOf(driver)).length).toBe(3)
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
