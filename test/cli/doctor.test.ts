/** What `doctor` and the others say of stores that are damaged, locked, older or not reached. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { openBetterSqlite3 } from '../support/engines.ts'
import { inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

const ONE_LINE = /^[^\n]+\. [^\n]+\n$/

it('tells a damaged file, and what to do', () =>
  inPlace(async ({ run, directory }) => {
    const file = join(directory, 'a.db')
    const content = readFileSync(file)
    // The first page lists the tables, after a header of 100 bytes.
    content.fill(0xff, 100, 4096)
    writeFileSync(file, content)
    expect(await run('runs')).toMatchObject({ code: 6, out: '', err: expect.stringMatching(ONE_LINE) })
    const { code, out } = await run('doctor')
    expect(code).toBe(1)
    expect(out).toContain('file\tfailure\tdamaged\tRestore it from a backup\n')
  }))

it('tells a locked file, and a directory', () =>
  inPlace(async ({ run, bare, directory }) => {
    const db = await openBetterSqlite3(join(directory, 'a.db'))
    try {
      db.pragma('journal_mode = DELETE')
      db.exec('BEGIN EXCLUSIVE')
      expect(await run('runs')).toMatchObject({ code: 5, out: '', err: expect.stringMatching(ONE_LINE) })
    } finally {
      db.close()
    }
    const ran = await bare({}, 'runs', '--store', `sqlite:${directory}`)
    expect(ran).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/is a directory\. Name a file\n$/) })
  }))

it('looks at an older schema before it is brought up to date', () =>
  inPlace(async ({ run, directory }) => {
    const db = await openBetterSqlite3(join(directory, 'a.db'))
    try {
      db.exec('UPDATE holdfast_schema SET version = 0')
      const { code, out } = await run('doctor')
      expect(code).toBe(0)
      expect(out).toMatch(/^schema\twarning\tversion 0, this release has \d+\t.*backup/m)
      expect(db.prepare('SELECT version FROM holdfast_schema').get()).toEqual({ version: 0 })
    } finally {
      db.close()
    }
  }))

it('that cannot reach a store finds just that', () =>
  inPlace(async ({ bare }) => {
    for (const url of ['redis://127.0.0.1:1', 'postgres://me:secret@127.0.0.1:1/app', 'http://127.0.0.1:1/state']) {
      const { code, out, err } = await bare({}, 'doctor', '--store', url)
      expect([url, code, err]).toEqual([url, 1, ''])
      expect(out).toMatch(/^connection\tfailure\t[^\t]+\t[^\t]+\n$/)
      expect(out).not.toContain('secret')
    }
  }))
