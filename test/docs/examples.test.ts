/**
 * Every example that people see is compiled and run: of the README and the page on operations, and each `@example` of a doc comment. Where a line
 * that logs ends in a comment, that is what it must print.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { part } from '../support/parts.ts'

interface Example {
  readonly name: string
  readonly code: string
}

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')
/** Inside the package, so that it can be imported by its name. */
const HOME = join(ROOT, 'build/examples')

const fromMarkdown = (file: string): Example[] =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(([, code], i) => ({
    name: `${file} ${i + 1}`,
    code: code!,
  }))

const fromSource = (file: string): Example[] =>
  [...readFileSync(join(ROOT, file), 'utf8').matchAll(/@example\n \* ```ts\n(.*?) \* ```/gs)].map(([, code], i) => ({
    name: `${file} ${i + 1}`,
    code: code!.replaceAll(/^ \* ?/gm, ''),
  }))

/** The Node that has what the example imports. */
const nodeFor = ({ code }: Example): string | undefined =>
  code.includes('holdfast/node-sqlite') ? part('node24') : process.execPath

/** What the comments behind the logs say that they print. */
const promised = (code: string): string[] =>
  [...code.matchAll(/^.*console\.log\(.*\) \/\/ (.*)$/gm)].map(([, output]) => output!)

const examples = [
  ...fromMarkdown('README.md'),
  ...fromMarkdown('docs/operations.md'),
  ...sources(join(ROOT, 'src')).flatMap((file) => fromSource(file)),
]

function sources(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('src', file))
    .sort()
}

describe('examples', () => {
  rmSync(HOME, { recursive: true, force: true })
  mkdirSync(HOME, { recursive: true })
  const files = examples.map(({ name, code }) => {
    const file = join(HOME, `${name.replaceAll(/\W+/g, '-')}.ts`)
    writeFileSync(file, `${code}\nexport {}\n`)
    return file
  })
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-examples-'))
  afterAll(() => rmSync(scratch, { recursive: true }))

  test('there are some', () => expect(examples.length).toBeGreaterThan(5))

  test('compile', { timeout: 60_000 }, async () => {
    const config = join(HOME, 'tsconfig.json')
    writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.test.json', include: ['*.ts'] }))
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', config]).catch((error) => error)
    expect(stdout).toBe('')
  })

  // A test runner's own functions work nowhere else: such an example is compiled only.
  const runnable = examples
    .map((example, i) => ({ ...example, file: files[i]!, node: nodeFor(example) }))
    .filter(({ code }) => !code.includes("from 'vitest'"))
  test.for(runnable)(
    '$name runs and prints what it says',
    { timeout: 60_000 },
    async ({ code, file, node }, { skip }) => {
      skip(node === undefined, 'There is no Node with node:sqlite')
      const { stdout } = await run(node!, [join(ROOT, 'node_modules/tsx/dist/cli.mjs'), file], { cwd: scratch })
      const lines = stdout.trimEnd().split('\n')
      for (const line of promised(code)) expect(lines).toContain(line)
    },
  )
})
