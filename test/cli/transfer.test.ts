/** What the commands that carry stores refuse, and what they leave behind when they do. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { ODD, contentOf } from '../ops/seed.ts'
import { inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

describe('restore', () => {
  it('refuses a tenant that the backup is not of, and changes nothing', () =>
    inPlace(async ({ run, within }) => {
      await run('backup', 'whole.ndjson')
      await run('backup', 'odd.ndjson', '--tenant', ODD)
      await within(({ forTenant }) => forTenant('third').state.set('mine', 'kept'))
      const before = await within(({ db }) => contentOf(db))
      for (const [file, tenant] of [
        ['whole.ndjson', ODD],
        ['whole.ndjson', 'default'],
        ['odd.ndjson', 'third'],
      ] as const) {
        const ran = await run('restore', file, '--tenant', tenant, '--overwrite', '--yes')
        expect([file, tenant, ran.code, ran.out]).toEqual([file, tenant, 2, ''])
        expect(ran.err).toMatch(/^The backup is of [^\n]+\. [^\n]+\n$/)
        expect(await within(({ db }) => contentOf(db))).toEqual(before)
      }
      await within(({ forTenant }) => forTenant(ODD).state.set('text', 'newer'))
      expect((await run('restore', 'odd.ndjson', '--tenant', ODD, '--overwrite', '--yes')).code).toBe(0)
      expect(await within(({ db }) => contentOf(db))).toEqual(before)
    }))

  it('makes no store of a file that is no whole backup, nor of one of another tenant', () =>
    inPlace(async ({ run, bare, directory }) => {
      await run('backup', 'whole.ndjson')
      const whole = readFileSync(join(directory, 'whole.ndjson'))
      writeFileSync(join(directory, 'cut.ndjson'), whole.subarray(0, whole.length / 2))
      writeFileSync(join(directory, 'junk.ndjson.gz'), 'no gzip')
      for (const [code, ...args] of [
        [6, 'cut.ndjson'],
        [6, 'junk.ndjson.gz'],
        [2, 'whole.ndjson', '--tenant', 'acme'],
      ] as const) {
        const ran = await bare({}, 'restore', ...args, '--store', 'sqlite:./fresh.db')
        expect([args, ran.code, ran.out]).toEqual([args, code, ''])
        expect(readdirSync(directory).filter((name) => name.startsWith('fresh'))).toEqual([])
      }
    }))
})

describe('backup', () => {
  it('leaves the half-written file of another run alone', () =>
    inPlace(async ({ run, directory }) => {
      writeFileSync(join(directory, 'b.ndjson.partial'), 'of another run')
      expect((await run('backup', 'b.ndjson')).code).toBe(0)
      expect(readFileSync(join(directory, 'b.ndjson.partial'), 'utf8')).toBe('of another run')
      expect(existsSync(join(directory, 'b.ndjson'))).toBe(true)
      expect(readdirSync(directory).filter((name) => name.endsWith('.partial'))).toEqual(['b.ndjson.partial'])
    }))
})
