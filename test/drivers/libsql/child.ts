/** Another process at a file: `<path> <ms>` appends to one log for so long, and says how it went. */
import { createClient } from '@libsql/client'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'

const [path, ms] = process.argv.slice(2)
const driver = libsql({ db: createClient({ url: `file:${path}`, timeout: 5000 }) })
const until = performance.now() + Number(ms)
const failures: string[] = []
let appended = 0
let calls = 0

async function lane(n: number): Promise<void> {
  while (performance.now() < until) {
    const id = `${process.pid}.${n}.${calls++}`
    const op = { append: { part: 'p', key: 'log!' }, value: id }
    try {
      await driver.commit({ id, commits: [{ id, checks: [], ops: [op], durability: 'relaxed' }] })
      appended++
    } catch (error) {
      failures.push(String(error))
    }
  }
}

await driver.open()
await Promise.all([0, 1, 2].map(lane))
console.log(JSON.stringify({ appended, failures }))
