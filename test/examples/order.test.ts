import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the order workflow survives being killed at every await point', async () => {
  const demo = join(import.meta.dirname, '../../examples/order/demo.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', demo])
  expect(stdout).toContain('every step done once, undone in reverse order: OK')
  const kills = Number(/killed at (\d+) await points/.exec(stdout)?.[1])
  expect(kills).toBeGreaterThan(40)
}, 300_000)
