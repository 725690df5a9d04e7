/** The scenarios of docs/operations.md, as they are run there. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const PAGE = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')

test.each([
  ['recovery:killed', 'A', ['The log ends at 2', 'ALREADY_COMPLETED']],
  ['recovery:outage', 'B', ['is open', 'is half-open', 'is closed', 'each once and in order']],
  ['recovery:ambiguous', 'C', ['ambiguous', 'it had taken effect', 'at least once']],
])('%s', async (name, letter, shown) => {
  expect(PAGE).toContain(`npm run ${name}`)
  const [, ...args] = scripts[name]!.split(' ')
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], { cwd: ROOT })
  for (const text of [...shown, `Scenario ${letter}: OK`]) expect(stdout).toContain(text)
})
