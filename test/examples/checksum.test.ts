/** The demo, on a small tree with awkward names. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { part } from '../support/parts.ts'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')
const NAMES = ['plain', 'with space', 'back\\slash', 'new\nline', "quote's", 'émile', '-dash', '*']

describe.skipIf(!part('sha256sum'))('the checksum demo', () => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-demo-test-'))
  afterAll(() => rmSync(home, { recursive: true }))
  const demo = (...args: string[]) =>
    run(process.execPath, ['--import', 'tsx', 'examples/checksum/demo.ts', ...args], { cwd: ROOT })

  test('survives its kills and loses no step', { timeout: 60_000 }, async () => {
    for (const directory of ['a', 'b/c']) {
      mkdirSync(join(home, 'tree', directory), { recursive: true })
      for (const name of NAMES) {
        for (let i = 0; i < 40; i++) writeFileSync(join(home, 'tree', directory, `${name}${i}`), `${name} ${i}`)
      }
    }
    const { stdout } = await demo(join(home, 'tree'), '--kills', '3')
    const files = 2 * NAMES.length * 40
    expect(stdout).toContain(`manifest:       ${files} files, sha256sum -c: OK`)
    expect(stdout).toContain(`steps done:     ${files}`)
    expect(stdout).toMatch(/steps lost: {5}0\n/)
    expect(stdout).toMatch(/kills survived: [1-3]\n/)
  })

  test('has nothing to do in an empty directory', { timeout: 60_000 }, async () => {
    mkdirSync(join(home, 'empty'))
    const { stdout } = await demo(join(home, 'empty'))
    expect(stdout).toContain('manifest:       0 files')
  })

  test('refuses what is no directory', async () => {
    await expect(demo(join(home, 'nowhere'))).rejects.toMatchObject({ code: 2 })
    await expect(demo(home, '--kills=-1')).rejects.toMatchObject({ code: 2 })
  })
})
