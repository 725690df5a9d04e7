/** What commands do when whoever reads them goes away, or Ctrl-C is pressed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { contentOf } from '../ops/seed.ts'
import { PROGRAM, inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

interface Ended {
  readonly code: number | null
  readonly err: string
}

/** How a command ends. */
async function endOf(child: ChildProcess): Promise<Ended> {
  const err: string[] = []
  child.stderr!.on('data', (text: Buffer) => err.push(String(text)))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, err: err.join('') }
}

const start = (url: string, ...args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [PROGRAM, ...args, '--store', url], { env: { PATH: process.env['PATH'] } })

/** Runs a command whose reader is gone before it has written anything. */
function unread(url: string, ...args: readonly string[]): Promise<Ended> {
  const child = start(url, ...args)
  child.stdout!.destroy()
  return endOf(child)
}

describe('a reader that goes away', () => {
  it('has seen enough of what only shows something', () =>
    inPlace(async ({ url }) => {
      const commands = [['runs'], ['events', 'order-1'], ['get', 'text'], ['--help']]
      const ends = await Promise.all(commands.map((args) => unread(url, ...args)))
      expect(ends).toEqual(commands.map(() => ({ code: 0, err: '' })))
    }))

  it('lacks a part of a backup, and is told so', () =>
    inPlace(async ({ url }) => {
      expect(await unread(url, 'backup', '-')).toMatchObject({ code: 141, err: expect.stringMatching(/^[^\n]+\n$/) })
    }))

  it('ends no command that changes something, or judges', () =>
    inPlace(async ({ url, run, within }) => {
      await within(({ db }) => db.commit({ ops: [{ deletePart: 'default!due' }] }))
      expect((await unread(url, 'verify')).code).toBe(1)
      expect((await unread(url, 'verify', '--repair')).code).toBe(141)
      expect((await run('verify')).code).toBe(0)
      expect((await unread(url, 'set', 'a', 'b')).code).toBe(141)
      expect((await run('get', 'a')).out).toBe('b\n')
    }))
})

describe('Ctrl-C', () => {
  it('ends bench, which leaves nothing behind', () =>
    inPlace(async ({ url, within }) => {
      const before = await within(({ db }) => contentOf(db))
      const child = start(url, 'bench', '--calls', '100000000')
      const ended = endOf(child)
      await vi.waitUntil(() => within(async ({ db }) => (await contentOf(db)).length > before.length), 60_000)
      child.kill('SIGINT')
      expect(await ended).toEqual({ code: 130, err: expect.stringMatching(/^The call was aborted[^\n]+\n$/) })
      expect(await within(({ db }) => contentOf(db))).toEqual(before)
    }))

  it('ends a set that waits for its value', () =>
    inPlace(async ({ url, run }) => {
      const child = start(url, 'set', 'piped')
      const ended = endOf(child)
      // More than a pipe holds: once it has left, the command is reading.
      await new Promise((written) => child.stdin!.write('x'.repeat(4_000_000), written))
      child.kill('SIGINT')
      expect(await ended).toEqual({ code: 130, err: expect.stringMatching(/^[^\n]+\n$/) })
      expect((await run('get', 'piped')).code).toBe(3)
    }))
})
