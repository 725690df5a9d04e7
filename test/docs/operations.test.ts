/** Every command of docs/operations.md does what it is shown for. */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { PROGRAM, inPlace } from '../cli/support.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PAGE = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')

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

/** What is shown to users and contributors. */
const pages = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(ROOT, 'docs')).map((name) => join('docs', name))]
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }))

it('every command and script that a page names is there', () => {
  const help = execFileSync(process.execPath, [PROGRAM, '--help'], { encoding: 'utf8' })
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
  const unknown: string[] = []
  let seen = 0
  for (const { name, text } of pages) {
    const shells = [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block).join('')
    const commands = [
      ...text.matchAll(/`(?:npx )?holdfast ([a-z]+)/g),
      ...shells.matchAll(/^(?:npx )?holdfast ([a-z]+)/gm),
    ]
    for (const [, command] of commands) {
      seen++
      if (!new RegExp(`^ {2}${command} `, 'm').test(help)) unknown.push(`${name}: holdfast ${command}`)
    }
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([\w:]+)/g)) {
      seen++
      if (!Object.hasOwn(scripts, script!)) unknown.push(`${name}: npm run ${script}`)
    }
  }
  expect(unknown).toEqual([])
  expect(seen).toBeGreaterThan(50)
})
