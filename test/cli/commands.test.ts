/** Every command, on a real file, through a pipe. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { ODD, contentOf } from '../ops/seed.ts'
import { PROGRAM, inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

const json = (text: string): unknown[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)

describe('what is there', () => {
  it('runs', () =>
    inPlace(async ({ run }) => {
      const { code, out } = await run('runs')
      expect(code).toBe(0)
      expect(out.trim().split('\n').length).toBe(5)
      expect(out).toContain('order-1\torder\trunning\t')
      expect(json((await run('runs', '--status', 'completed', '--json')).out)).toMatchObject([{ runId: 'done' }])
      expect((await run('runs', '--limit', '2')).out.trim().split('\n').length).toBe(2)
      expect((await run('runs', '--tenant', ODD)).out).toContain('order-1')
      expect((await run('runs', '--status', 'wurst')).code).toBe(2)
    }))

  it('show', () =>
    inPlace(async ({ run }) => {
      const { code, out } = await run('show', ODD)
      expect(code).toBe(0)
      expect(out).toMatch(/ {5}1 {2}\S+Z +\+\d+\.\d{3}s {2}begun\n {5}2 .* paid\n$/)
      expect(out).toContain('claimed by w1')
      expect(out).not.toContain('amount')
      const [shown] = json((await run('show', ODD, '--json', '--payloads')).out)
      expect(shown).toMatchObject({ runId: ODD, events: [{}, { payload: { amount: { $1: 'BigInt', value: '42' } } }] })
      expect(await run('show', 'nobody')).toMatchObject({
        code: 3,
        out: '',
        err: expect.stringMatching(/^The run nobody does not exist\..*\n$/),
      })
    }))

  it('events, and follows them until the run has ended', () =>
    inPlace(async ({ run, within }) => {
      expect(json((await run('events', 'order-1', '--json', '--after', '1')).out)).toMatchObject([
        { seq: 2, kind: 'paid' },
      ])
      const following = run('events', 'sleeper', '--follow', '--interval', '20ms')
      await within(async ({ persistence }) => {
        for (const kind of ['two', 'three']) {
          await new Promise((resolve) => setTimeout(resolve, 300))
          await persistence.append({ runId: 'sleeper', workflow: 'nap', kind })
        }
        await persistence.complete('sleeper', 'completed', { event: { kind: 'last' } })
      })
      const { code, out } = await following
      expect(code).toBe(0)
      expect(
        out
          .trim()
          .split('\n')
          .map((line) => line.trim().split(/ +/)[3]),
      ).toEqual(['begun', 'two', 'three', 'last'])
    }))

  it('stats', () =>
    inPlace(async ({ run }) => {
      expect((await run('stats')).out).toContain('default\t')
      expect(json((await run('stats', '--json', '--sizes')).out)).toMatchObject([
        { tenants: { default: { values: 6 } } },
      ])
    }))
})

describe('values', () => {
  it('get, set and delete, with text, bytes and a time to live', () =>
    inPlace(async ({ run, feed, within }) => {
      expect(await run('get', 'empty')).toMatchObject({ code: 0, out: '\n' })
      expect(await run('set', 'greeting', 'hello', '--ttl', '12h')).toMatchObject({ code: 0 })
      expect((await run('get', 'greeting')).out).toBe('hello\n')
      expect((await feed('from a pipe', 'set', 'piped')).code).toBe(0)
      expect((await feed('raw', 'set', 'raw', '--bytes')).code).toBe(0)
      await within(async ({ state }) => {
        expect(await state.get('piped')).toBe('from a pipe')
        expect(await state.get('raw')).toEqual(new TextEncoder().encode('raw'))
      })
      expect(json((await run('get', 'raw', '--json')).out)).toEqual([{ key: 'raw', bytes: 'cmF3' }])
      expect((await run('set', 'greeting', 'again', '--if-absent')).code).toBe(4)
      expect((await run('get', 'own', '--run', 'order-1')).out).toBe('value of the run\n')
      expect(await run('delete', 'greeting')).toMatchObject({ code: 7 })
      expect((await run('get', 'greeting')).out).toBe('hello\n')
      expect((await run('delete', 'greeting', '--yes')).code).toBe(0)
      expect((await run('get', 'greeting')).code).toBe(3)
      expect((await run('delete', 'greeting', '--yes')).code).toBe(3)
    }))
})

describe('telling runs what to do', () => {
  it('cancel, pause, unpause, intervene', () =>
    inPlace(async ({ run, within }) => {
      expect((await run('cancel', 'order-1')).code).toBe(7)
      expect((await run('cancel', 'order-1', '--yes', '--reason', 'Enough', '--by', 'ada')).code).toBe(0)
      expect((await run('pause', ODD)).code).toBe(0)
      await within(async ({ signals }) => {
        expect(await signals.getSignal('order-1', 'cancel')).toMatchObject({ reason: 'Enough', requestedBy: 'ada' })
        expect(await signals.checkAndPause(ODD)).toBe(true)
      })
      expect((await run('unpause', ODD)).out).toContain('is running')
      expect((await run('unpause', ODD)).code).toBe(4)
      expect(json((await run('intervene', 'order-1', 'ship', '--payload', '{"id":1}', '--json')).out)).toEqual([
        { runId: 'order-1', intervention: 3 },
      ])
      expect((await run('intervene', 'order-1', 'ship', '--payload', '{')).code).toBe(2)
      expect((await run('cancel', 'done', '--yes')).code).toBe(4)
      expect((await run('pause', 'nobody')).code).toBe(3)
    }))
})

describe('care', () => {
  it('purge asks, counts and removes', () =>
    inPlace(async ({ run, within }) => {
      expect((await run('purge')).code).toBe(2)
      expect((await run('purge', '--before', 'yesterday')).code).toBe(2)
      expect((await run('purge', '--keep-last', '0', '--status', 'running')).code).toBe(2)
      expect((await run('purge', '--before', '30d')).out).toBe('0 runs deleted\n')
      expect((await run('purge', '--keep-last', '0', '--dry-run')).out).toBe('1 runs would be deleted completed 1\n')
      expect((await run('purge', '--keep-last', '0')).code).toBe(7)
      await within(async ({ workflows }) => expect(await workflows.getRun('done')).toBeDefined())
      expect(json((await run('purge', '--keep-last', '0', '--yes', '--json')).out)).toMatchObject([{ runs: 1 }])
      await within(async ({ workflows }) => expect(await workflows.getRun('done')).toBeUndefined())
      expect((await run('verify')).code).toBe(0)
    }))

  it('verify finds, and mends', () =>
    inPlace(async ({ run, within }) => {
      expect((await run('verify')).out).toMatch(/^\d+ entries, 7 runs, 0 problems, 0 repaired\n$/)
      await within(({ db }) => db.commit({ ops: [{ deletePart: 'default!due' }] }))
      expect(await run('verify')).toMatchObject({ code: 1, out: expect.stringContaining('missing-index: default!due') })
      expect((await run('verify', '--repair')).code).toBe(0)
      expect((await run('verify')).code).toBe(0)
    }))

  it('doctor', () =>
    inPlace(async ({ run, bare }) => {
      const { code, out } = await run('doctor')
      expect(code).toBe(0)
      for (const what of [
        'connection\tok',
        'latency\tok',
        'clock\tok',
        'durability\tok\tstrict',
        'schema\tok',
        'journal\tok\twal',
        'file\tok',
      ]) {
        expect(out).toContain(what)
      }
      const [finding] = json((await bare({}, 'doctor', '--store', 'memory:', '--json')).out).filter(
        (it) => (it as { what: string }).what === 'durability',
      )
      expect(finding).toMatchObject({ level: 'warning', advice: expect.stringContaining('tests only') })
    }))

  it('bench leaves nothing behind', () =>
    inPlace(async ({ run, within }) => {
      const before = await within(({ db }) => contentOf(db))
      const rows = json((await run('bench', '--calls', '20', '--json')).out)
      expect(rows.length).toBe(5)
      expect((await run('bench', '--calls', '0')).code).toBe(2)
      for (const row of rows) expect(row).toMatchObject({ perSecond: expect.any(Number), medianMs: expect.any(Number) })
      expect(await within(({ db }) => contentOf(db))).toEqual(before)
    }))
})

describe('carrying stores', () => {
  it('backup and restore, plain and compressed', () =>
    inPlace(async ({ run, bare, directory, within }) => {
      expect((await run('backup', 'b.ndjson')).out).toMatch(/^\d+ entries, of one moment\n$/)
      expect((await run('backup', 'b.ndjson')).code).toBe(7)
      expect(await run('backup', '.')).toMatchObject({ code: 2, err: '. is a directory. Name a file\n' })
      expect(await run('backup', 'nowhere/b.ndjson')).toMatchObject({
        code: 3,
        err: expect.stringMatching(/^[^\n]+Check the path\n$/),
      })
      expect((await run('restore', '.')).code).toBe(2)
      expect((await run('backup', 'b.ndjson.gz', '--json')).code).toBe(0)
      const entriesOf = (text: string) => text.match(/^{"part".*$/gm)
      const plain = readFileSync(join(directory, 'b.ndjson'), 'utf8')
      expect(entriesOf(gunzipSync(readFileSync(join(directory, 'b.ndjson.gz'))).toString())).toEqual(entriesOf(plain))
      const { out, err } = await run('backup', '-')
      expect(entriesOf(out)).toEqual(entriesOf(plain))
      expect(err).toContain('of one moment')
      expect(readdirSync(directory).filter((name) => name.endsWith('.partial'))).toEqual([])

      for (const file of ['b.ndjson', 'b.ndjson.gz']) {
        const url = `sqlite:./${file}.db`
        expect(await bare({}, 'restore', file, '--store', url)).toMatchObject({ code: 0 })
        expect((await bare({ HOLDFAST_URL: url }, 'verify')).code).toBe(0)
        const again = await bare({ HOLDFAST_URL: url }, 'backup', '-')
        expect(entriesOf(again.out)).toEqual(entriesOf(plain))
      }
      await within(({ state }) => state.set('text', 'newer'))
      expect(await run('restore', 'b.ndjson')).toMatchObject({
        code: 4,
        err: expect.stringContaining('The store holds other entries'),
      })
      expect((await run('get', 'text')).out).toBe('newer\n')
      expect((await run('restore', 'b.ndjson', '--overwrite')).code).toBe(7)
      expect((await run('restore', 'b.ndjson', '--overwrite', '--yes')).code).toBe(0)
      expect((await run('get', 'text')).out).toContain('hello')
    }))

  it('refuses damaged files, and changes nothing', () =>
    inPlace(async ({ run, bare, directory }) => {
      await run('backup', 'b.ndjson')
      await run('backup', 'b.ndjson.gz')
      const plain = readFileSync(join(directory, 'b.ndjson'))
      const zipped = readFileSync(join(directory, 'b.ndjson.gz'))
      writeFileSync(join(directory, 'cut.ndjson'), plain.subarray(0, plain.length / 2))
      writeFileSync(join(directory, 'cut.ndjson.gz'), zipped.subarray(0, zipped.length / 2))
      writeFileSync(join(directory, 'none.ndjson.gz'), 'no gzip')
      plain[(plain.length / 3) | 0]! ^= 1
      writeFileSync(join(directory, 'bit.ndjson'), plain)
      for (const file of ['cut.ndjson', 'cut.ndjson.gz', 'none.ndjson.gz', 'bit.ndjson', 'a.db']) {
        const { code, err, out } = await bare({}, 'restore', file, '--store', 'sqlite:./new.db')
        expect([file, code, out]).toEqual([file, 6, ''])
        expect(err).toMatch(/^[^\n]+\n$/)
        expect(existsSync(join(directory, 'new.db'))).toBe(false)
      }
      expect((await run('restore', 'nowhere.ndjson')).code).toBe(3)
    }))

  it('copy', () =>
    inPlace(async ({ run, bare, url }) => {
      expect((await run('copy')).code).toBe(2)
      expect((await run('copy', '--to', 'wurst:x')).code).toBe(2)
      expect((await run('copy', '--to', url)).code).toBe(2)
      expect(json((await run('copy', '--to', 'sqlite:./copy.db', '--json')).out)).toMatchObject([
        { differing: 0, removed: 0 },
      ])
      expect((await run('set', 'text', 'newer')).code).toBe(0)
      expect((await run('copy', '--to', 'sqlite:./copy.db')).code).toBe(4)
      expect((await run('copy', '--to', 'sqlite:./copy.db', '--overwrite')).code).toBe(7)
      expect((await run('copy', '--to', 'sqlite:./copy.db', '--overwrite', '--yes')).out).toMatch(
        /^1 entries written.* 0 differ\n$/,
      )
      expect((await bare({ HOLDFAST_URL: 'sqlite:./copy.db' }, 'get', 'text')).out).toBe('newer\n')
    }))
})

describe('setting up', () => {
  it('init writes programs that are sound, and overwrites nothing', () =>
    inPlace(async ({ bare, directory }) => {
      for (const place of ['node', 'browser', 'worker']) {
        expect((await bare({}, 'init', place, '--for', place)).code).toBe(0)
        await promisify(execFile)(process.execPath, ['--check', join(directory, place, 'holdfast.mjs')])
        expect(await bare({}, 'init', place, '--for', place)).toMatchObject({ code: 4, out: '' })
      }
      expect((await bare({}, 'init', '--for', 'moon')).code).toBe(2)
    }))

  it('completion scripts are sound, and complete', () =>
    inPlace(async ({ bare, directory }) => {
      const { out } = await bare({}, 'completion', 'bash')
      writeFileSync(
        join(directory, 'c.sh'),
        `${out}\nCOMP_WORDS=(holdfast pu); COMP_CWORD=1; _holdfast; echo "\${COMPREPLY[@]}"\n`,
      )
      expect((await promisify(execFile)('bash', [join(directory, 'c.sh')])).stdout).toBe('purge\n')
      expect((await bare({}, 'completion', 'zsh')).out).toContain('bashcompinit')
      expect((await bare({}, 'completion', 'fish')).out).toContain("-a purge -d 'delete runs that have ended'")
      expect((await bare({}, 'completion', 'wurst')).code).toBe(2)
    }))
})

describe('what goes wrong', () => {
  it('is one line, with what to do, and an exit code', () =>
    inPlace(async ({ bare, directory }) => {
      writeFileSync(join(directory, 'text.db'), 'this is no database, though it is long enough to be taken for one')
      const { default: Database } = await import('better-sqlite3')
      new Database(join(directory, 'other.db')).exec('CREATE TABLE mine (x)').close()
      const other = readFileSync(join(directory, 'other.db'))
      for (const [url, code] of [
        ['', 2],
        ['nonsense', 2],
        ['wurst://user:secret@host', 2],
        ['sqlite:', 2],
        ['redis://me:secret@127.0.0.1:1/wurst', 2],
        ['sqlite:./nowhere.db', 3],
        ['sqlite:./nowhere/a.db', 3],
        ['sqlite:./text.db', 6],
        ['sqlite:./other.db', 6],
      ] as const) {
        const ran = await bare({ HOLDFAST_URL: url }, 'runs')
        expect([url, ran.code, ran.out]).toEqual([url, code, ''])
        expect(ran.err).toMatch(/^[^\n]+\. [^\n]+\n$/)
        expect(ran.err).not.toContain('secret')
      }
      expect(existsSync(join(directory, 'nowhere.db'))).toBe(false)
      expect((await bare({ HOLDFAST_URL: 'sqlite:./other.db' }, 'set', 'a', 'b')).code).toBe(6)
      expect(readFileSync(join(directory, 'other.db'))).toEqual(other)
      const { err } = await bare({}, 'runs', '--json')
      expect(JSON.parse(err)).toMatchObject({ error: { code: 'FAILED', advice: expect.stringContaining('sqlite:') } })
    }))

  it('in what is typed is one line, too, or JSON', () =>
    inPlace(async ({ run }) => {
      const typed = [['wurst'], ['rus'], ['runs', '--wurst'], ['show'], ['purge', '--before', '45']]
      for (const { code, out, err } of await Promise.all(typed.map((args) => run(...args)))) {
        expect([code, out]).toEqual([2, ''])
        expect(err).toMatch(/^[A-Z][^\n]+[^.]\. See holdfast --help\n$/)
      }
      const { code, err } = await run('runs', '--wurst', '--json')
      expect(code).toBe(2)
      expect(JSON.parse(err)).toEqual({
        error: { code: 'INVALID_ARGUMENT', message: "Unknown option '--wurst'", advice: 'See holdfast --help' },
      })
    }))

  it('Ctrl-C ends a command, and says so', () =>
    inPlace(async ({ directory, url }) => {
      const child = spawn(process.execPath, [PROGRAM, 'events', 'sleeper', '--follow', '--store', url], {
        cwd: directory,
      })
      const err: string[] = []
      child.stderr.on('data', (text: Buffer) => err.push(String(text)))
      await once(child.stdout, 'data')
      child.kill('SIGINT')
      expect(await once(child, 'close')).toEqual([130, null])
      expect(err.join('')).toMatch(/^The call was aborted[^\n]+\n$/)
    }))

  it('help and version are no failures, and every command has examples', () =>
    inPlace(async ({ bare }) => {
      const { out } = await bare({}, '--help')
      const names = [...out.matchAll(/^ {2}([a-z]+) .*(?:<|\[| {3})/gm)]
        .map(([, name]) => name!)
        .filter((name) => name !== 'help')
      expect(names.length).toBeGreaterThan(18)
      for (const name of names) {
        const { code, out: help } = await bare({}, name, '--help')
        expect([name, code]).toEqual([name, 0])
        expect(help).toContain('Examples:\n  $ holdfast ')
      }
      expect((await bare({}, '--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/)
      expect((await bare({}, 'wurst')).code).toBe(2)
    }))
})
