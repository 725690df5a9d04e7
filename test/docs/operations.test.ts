/** Every command of docs/operations.md does what it is shown for. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { PROGRAM, inPlace } from '../cli/support.ts'

const PAGE = readFileSync(resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8')

const commands = [...PAGE.matchAll(/```sh\n(.*?)```/gs)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  // What is installed, and the scenarios: test/examples/recovery.test.ts runs those.
  .filter((line) => !line.startsWith('npm '))

it('the commands run one after the other', { timeout: 300_000 }, () =>
  inPlace(async ({ directory, url }) => {
    expect(commands.length).toBeGreaterThan(15)
    for (const command of commands) expect(command).toMatch(/^holdfast /)
    const script = [
      `holdfast() { "${process.execPath}" "${PROGRAM}" "$@" || { echo "failed: $*"; exit 1; }; }`,
      ...commands,
    ]
    const output = execFileSync('bash', ['-c', script.join('\n')], {
      cwd: directory,
      env: { PATH: process.env['PATH'], HOLDFAST_URL: url },
      encoding: 'utf8',
    })
    expect(output).toContain('Asked order-1 to cancel')
    expect(output).toContain('of one moment')
    expect(output.match(/ 0 problems/g)?.length).toBe(3)
  }),
)
