/**
 * Every example that people see is compiled and run: of the README and the page on operations, and each `@example` of a doc comment. Where a line
 * that logs ends in a comment, that is what it must print.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

/** What a page has and Node has not. */
const FAKE = join(ROOT, 'node_modules/fake-indexeddb/auto/index.mjs')

/** The command that runs the example in a runtime that has what it imports; `undefined` where there is none here. */
function commandFor({ code }: Example): readonly string[] | undefined {
  if (code.includes('holdfast/bun-sqlite')) return part('bun') ? [part('bun')!, 'run'] : undefined
  if (code.includes('holdfast/node-sqlite')) return part('node24') ? [part('node24')!] : undefined
  return [process.execPath, ...(code.includes('holdfast/indexeddb') ? ['--import', FAKE] : [])]
}

/** The output that the comments after the calls of `console.log` promise. */
const promised = (code: string): string[] =>
  [...code.matchAll(/^.*console\.log\(.*\) \/\/ (.*)$/gm)].map(([, output]) => output!)

const examples = [
  ...fromMarkdown('README.md'),
  ...fromMarkdown('docs/operations.md'),
  ...fromMarkdown('docs/workflows.md'),
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

  let complaints: string
  // All at once: to start a compiler for each takes longer than to run them.
  beforeAll(async () => {
    const config = join(HOME, 'tsconfig.json')
    const compilerOptions = {
      noEmit: false,
      allowImportingTsExtensions: false,
      rootDir: HOME,
      outDir: HOME,
      // What is only shown is used by nobody.
      noUnusedLocals: false,
      noUnusedParameters: false,
    }
    writeFileSync(config, JSON.stringify({ extends: '../../tsconfig.test.json', compilerOptions, include: ['*.ts'] }))
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', config]).catch((error) => error)
    complaints = stdout
  })

  test('compile', () => expect(complaints).toBe(''))

  // A test runner's own functions work nowhere else: such an example is compiled only.
  const runnable = examples
    .map((example, i) => ({ ...example, file: files[i]!.replace(/ts$/, 'js'), command: commandFor(example) }))
    .filter(({ code }) => !code.includes("from 'vitest'"))
  test.for(runnable)('$name runs and prints what it says', async ({ code, file, command = [] }, { skip }) => {
    const [runtime, ...args] = command
    skip(runtime === undefined, 'There is no runtime that has what it imports')
    const { stdout } = await run(runtime!, [...args, file], { cwd: scratch })
    const lines = stdout.trimEnd().split('\n')
    for (const line of promised(code)) expect(lines).toContain(line)
  })
})
