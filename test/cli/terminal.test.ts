/** What shows on a terminal only: questions, tables and bars, in a real one. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { part } from '../support/parts.ts'
import { manyRuns } from '../ops/seed.ts'
import { PROGRAM, inPlace } from './support.ts'

// Every command is a process.
vi.setConfig({ testTimeout: 120_000 })

const SERVER = `holdfast-test-${process.pid}`
const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', SERVER, ...args], { encoding: 'utf8' })

/** Starts a shell command in a terminal of its own. */
function show(directory: string, command: string, columns = 120): void {
  tmux('new-session', '-d', '-x', String(columns), '-y', '40', '-c', directory, `${command}; echo "exit $?"; sleep 60`)
}

/** The screen, as soon as it shows this. */
async function screenWith(text: RegExp): Promise<string> {
  for (let tries = 0; tries < 100; tries++) {
    const screen = tmux('capture-pane', '-p')
    if (text.test(screen)) return screen
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`The terminal does not show ${text}:\n${tmux('capture-pane', '-p')}`)
}

describe.skipIf(!part('tmux'))('the command line on a terminal', () => {
  afterEach(() => {
    try {
      tmux('kill-server')
    } catch {
      // It has ended with its last session.
    }
  })

  const call = (url: string, command: string): string => `HOLDFAST_URL=${url} ${process.execPath} ${PROGRAM} ${command}`

  it('asks before it destroys; no is no', () =>
    inPlace(async ({ directory, url, run }) => {
      show(directory, call(url, 'purge --keep-last 0'))
      await screenWith(/Delete 1 runs\? \[y\/N\]/)
      tmux('send-keys', 'n', 'Enter')
      expect(await screenWith(/exit \d/)).toMatch(/Nothing was done\s+exit 7/)
      expect((await run('show', 'done')).code).toBe(0)
    }))

  it.each([
    ['C-c', 130],
    ['C-d', 7],
  ])('and %s is no, too', (key, code) =>
    inPlace(async ({ directory, url, run }) => {
      show(directory, call(url, 'purge --keep-last 0'))
      await screenWith(/Delete 1 runs\? \[y\/N\]/)
      tmux('send-keys', key)
      expect(await screenWith(/exit \d/)).toMatch(new RegExp(`Nothing was done\\s+exit ${code}`))
      expect((await run('show', 'done')).code).toBe(0)
    }),
  )

  it('tables are as wide as the terminal, and no wider', () =>
    inPlace(async ({ directory, url, within }) => {
      await within(({ workflows }) => workflows.createRun({ runId: 'r'.repeat(100), workflow: 'w'.repeat(30) }))
      show(directory, call(url, 'runs'), 80)
      const lines = (await screenWith(/exit \d/)).split('\n').filter((line) => /^[┌├│└]/.test(line))
      expect(lines.length).toBeGreaterThan(10)
      for (const line of lines) expect(line).toMatch(/[┐┤│┘]$/)
      expect(lines.join('').match(/r/g)!.length).toBeGreaterThan(100)
    }))

  it('and yes is yes', () =>
    inPlace(async ({ directory, url, run }) => {
      show(directory, call(url, 'purge --keep-last 0'))
      await screenWith(/Delete 1 runs\? \[y\/N\]/)
      tmux('send-keys', 'y', 'Enter')
      expect(await screenWith(/exit \d/)).toMatch(/1 runs deleted completed 1\s+exit 0/)
      expect((await run('show', 'done')).code).toBe(3)
    }))

  const SHELLS = [
    { shell: 'bash', isHere: true, start: 'bash --norc --noprofile', prepare: "PS1='$ '" },
    { shell: 'zsh', isHere: part('zsh'), start: 'zsh -f', prepare: "PS1='$ '; autoload -Uz compinit; compinit -u -D" },
    { shell: 'fish', isHere: part('fish'), start: 'fish --no-config', prepare: 'true' },
  ]
  for (const { shell, isHere, start, prepare } of SHELLS) {
    it.skipIf(!isHere)(`completes commands and flags after options in ${shell}`, () =>
      inPlace(async ({ directory, bare }) => {
        writeFileSync(join(directory, 'script'), (await bare({}, 'completion', shell)).out)
        show(directory, start)
        tmux('send-keys', `${prepare}; source ./script; echo so''urced`, 'Enter')
        await screenWith(/^sourced/m)
        tmux('send-keys', 'holdfast --tenant runs --store sqlite:./a.db pu', 'Tab')
        await screenWith(/a\.db purge/)
        tmux('send-keys', '--', '--dr', 'Tab')
        await screenWith(/a\.db purge --dry-run/)
      }),
    )
  }

  it('shows lists as tables, and long work as a bar', () =>
    inPlace(async ({ directory, url, within }) => {
      await within((holdfast) => manyRuns(holdfast, 200, (i) => ({ runId: `r${i}`, ends: true })))
      show(directory, `${call(url, 'runs --limit 3')}; ${call(url, 'backup b.ndjson')}`)
      const screen = await screenWith(/exit \d/)
      expect(screen).toMatch(/│ runId +│ workflow/)
      expect(screen).toMatch(/backup \[=+\] (\d+)\/\1 /)
      expect(screen).toMatch(/entries, of one moment\s+exit 0/)
    }))
})
