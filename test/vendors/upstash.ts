/** The tests of `@upstash/redis`, in Bun, against the local server over a real redis-server. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { part } from '../../scripts/parts.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import type { Result, Vendor } from './result.ts'

export const upstashRedis: Vendor = {
  name: '@upstash/redis',
  manifest: 'packages/redis/package.json',
  async run(directory) {
    const bun = part('bun')
    if (!bun) throw new Error('Its tests run in Bun, which is missing: tsx scripts/parts.ts installs it')
    const server = await startRedis()
    const rest = await startUpstash({ redis: server.url })
    try {
      const report = join(directory, 'report.xml')
      const env = {
        ...process.env,
        UPSTASH_REDIS_REST_URL: rest.url,
        UPSTASH_REDIS_REST_TOKEN: rest.token,
        UPSTASH_DISABLE_TELEMETRY: '1',
      }
      const args = ['test', 'pkg', '--timeout', '60000', '--reporter=junit', `--reporter-outfile=${report}`]
      const child = spawn(bun, args, { cwd: join(directory, 'packages/redis'), env, stdio: 'ignore' })
      await once(child, 'exit')
      return [...resultsOf(readFileSync(report, 'utf8'))]
    } finally {
      await rest.close()
      await server.stop()
    }
  },
}

/** Takes a report of JUnit's kind apart, as Bun writes it. */
function* resultsOf(report: string): Generator<Result> {
  for (const [, attributes = '', body = ''] of report.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const attribute = (name: string): string =>
      unescaped(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '')
    const outcome = body.includes('<failure') ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed'
    const test = [attribute('classname'), attribute('name')].filter(Boolean).join(' > ')
    yield { file: `packages/redis/${attribute('file')}`, test, outcome }
  }
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }
const unescaped = (text: string): string => text.replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole)
