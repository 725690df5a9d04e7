/** The cases must find out a script that breaks one of the rules which Redis has to keep by itself. */
import { describe, expect, it } from 'vitest'
import { upstash } from '../../../src/drivers/upstash/driver.ts'
import { cases, runCase } from '../../../src/testing/index.ts'
import { hasRedis, namespace, redisForFile, scriptEditor } from './support.ts'

const own = redisForFile()

/** What is done to the script, and the cases that have to fail. */
const MUTANTS: Record<string, readonly [from: string, to: string, ...found: `DR-${number}`[]]> = {
  'forgets refusals': [
    "redis.call('SET', request, text(now + window)",
    'if not begun then return reply(answers) end\n$&',
    'DR-808',
  ],
  'ignores deadlines': ["if deadline ~= '' and", 'if false and', 'DR-809', 'DR-810'],
  'ignores digests': ['known ~= digest', 'false', 'DR-812'],
  'goes behind what is no number': ['return foreign or part.strange[prefix] ~= nil', 'return false', 'DR-1408'],
  'tells every value of a failed check': [
    'return fits(charge(check.key, packed, version)) and packed or headOf(packed)',
    'return packed',
    'DR-1501',
  ],
  'begins a log anew that was trimmed to its end': ['if number == 0 then', 'if number == -1 then', 'DR-1402'],
}

describe.skipIf(!hasRedis)('a script that', () => {
  const failing = Object.entries(MUTANTS).flatMap(([name, [from, to, ...found]]) =>
    found.map((id) => ({ name, from, to, id })),
  )

  it.each(failing)('$name fails $id', async ({ name, from, to, id }) => {
    const edit = scriptEditor((source) => source.replace(from, to))
    const redis = { send: (command: string[]) => own.client.sendCommand(edit(command)) }
    const caseOf = (wanted: string) => cases.find((it) => it.id === wanted)!
    const harness = { name, create: async () => ({ driver: upstash({ redis, namespace: namespace() }) }) }
    await expect(runCase(caseOf(id), harness)).rejects.toThrow()
    // One rule, not the end of everything.
    await runCase(caseOf('DR-801'), harness)
  })
})
