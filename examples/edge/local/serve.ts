/**
 * Serves the Worker on this machine, with its cron trigger, and tells where. Variables that are set for this process are
 * those of the Worker. Usage: serve.ts [directory of the data]
 */
import { resolve } from 'node:path'
import { startWorkerd } from './workerd.ts'

const NAMES = [
  'TOKEN',
  'SUBSCRIBERS',
  'RETRY',
  'RETENTION_DAYS',
  'STORE',
  'UPSTASH_REDIS_REST_URL',
  'UPSTASH_REDIS_REST_TOKEN',
  'DATABASE_URL',
  'DATABASE_ENDPOINT',
]
const MINUTE = 60_000

const { env } = process
const vars = Object.fromEntries(NAMES.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
const data = resolve(process.argv[2] ?? 'build/examples/edge')
const worker = await startWorkerd({ port: Number(env['PORT'] ?? 8787), data, vars })
console.log(`Listening on ${(await worker.ready).origin}`)

const trigger = await worker.getWorker()
const cron = async (): Promise<void> => void (await trigger.scheduled({ cron: '* * * * *' }))
// An earlier process that was killed may have left work.
await cron()
setInterval(() => void cron().catch(console.error), MINUTE)
