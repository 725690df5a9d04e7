/** A process that commits once over HTTP, with little patience, and tells what it was told. */
import { remote } from '../../../src/served/http/index.ts'

const driver = remote({
  url: process.argv[2]!,
  headers: { authorization: 'acme' },
  timeout: 1000,
  attempts: 2,
  capabilities: { durability: 'none', replayWindow: 13_000 },
  random: () => 1,
})
const op = { append: { part: 'p', key: 'log!' }, value: 'v' }
try {
  const { outcomes } = await driver.commit({
    id: 'r',
    commits: [{ id: 'c', checks: [], ops: [op], durability: 'relaxed' }],
  })
  process.send!({ outcomes })
} catch (error) {
  const { code, ambiguous } = error as { code: string; ambiguous: boolean }
  process.send!({ code, ambiguous })
}
process.disconnect()
