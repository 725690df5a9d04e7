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
const NAMES = [
  ...[
    'plain',
    'with space',
    ' space',
    '-dash',
    '*',
    "quote's",
    'back\\slash',
    '\\nothing',
    'new\nline',
    '\n',
    'a\rb',
    'end\r',
  ],
  ...['émile', '中', '😀', '\u2028', '\ufffd'],
].map((name) => Buffer.from(name))
// Linux takes names that are no text: these two look the same to who reads them as UTF-8.
if (process.platform === 'linux') NAMES.push(Buffer.from([0x66, 0xff]), Buffer.from([0x66, 0xfe]), Buffer.from([0xc3]))

describe.skipIf(!part('sha256sum'))('the checksum demo', () => {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-demo-test-'))
  afterAll(() => rmSync(home, { recursive: true }))
  const demo = (...args: string[]) =>
    run(process.execPath, ['--import', 'tsx', 'examples/checksum/demo.ts', ...args], { cwd: ROOT })

  test('survives its kills and loses no step', async () => {
    // Every name is also that of a directory.
    for (const directory of NAMES) {
      const path = Buffer.concat([Buffer.from(join(home, 'tree/')), directory])
      mkdirSync(path, { recursive: true })
      for (const name of NAMES) {
        const file = Buffer.concat([path, Buffer.from('/'), name])
        writeFileSync(file, file)
        writeFileSync(Buffer.concat([file, Buffer.from('2')]), '2')
      }
    }
    const { stdout } = await demo(join(home, 'tree'), '--kills', '3')
    const files = 2 * NAMES.length ** 2
    expect(stdout).toContain(`manifest:       ${files} files, sha256sum -c: OK`)
    expect(stdout).toContain(`steps done:     ${files}`)
    expect(stdout).toMatch(/steps lost: {5}0\n/)
    expect(stdout).toMatch(/kills survived: [1-3]\n/)
  })

  test('has nothing to do in an empty directory', async () => {
    mkdirSync(join(home, 'empty'))
    const { stdout } = await demo(join(home, 'empty'))
    expect(stdout).toContain('manifest:       0 files')
  })

  test('refuses what is no directory', async () => {
    await expect(demo(join(home, 'nowhere'))).rejects.toMatchObject({ code: 2 })
    await expect(demo(home, '--kills=-1')).rejects.toMatchObject({ code: 2 })
  })
})
