/**
 * The application in Deno: `STORE` is `sqlite` by default, a file of this machine, or `upstash` or `postgres`, as for the
 * Worker.
 */
import process from 'node:process'
import { nodeSqlite } from 'holdfast/node-sqlite'
import { createAlarm } from './alarm.ts'
import { createApp } from './app.ts'
import { settingsOf } from './settings.ts'
import { networkStore } from './stores.ts'

declare const Deno: {
  serve(
    options: { readonly hostname: string; readonly port: number },
    handler: (request: Request) => Promise<Response>,
  ): { shutdown(): Promise<void> }
  /** `Deno.cron`, if it is enabled. On Deno Deploy it wakes a sleeping application. */
  cron?(name: string, schedule: string, handler: () => void): Promise<void>
  addSignalListener(signal: 'SIGINT' | 'SIGTERM', handler: () => void): void
}

const { env } = process
const { STORE: store = 'sqlite', DATA: path = 'intake.db', HOST: hostname = '127.0.0.1', PORT: port = '8787' } = env

const app = createApp({
  ...settingsOf(env),
  driver: store === 'sqlite' ? nodeSqlite({ path }) : networkStore(store, env),
  wake: () => alarm.set(Date.now()),
})
const alarm = createAlarm(app.advance)
const server = Deno.serve({ hostname, port: Number(port) }, app.fetch)
void Deno.cron?.('advance', '* * * * *', () => alarm.set(Date.now()))

async function stop(): Promise<void> {
  await server.shutdown()
  await alarm.stop()
  await app.close()
  process.exit()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) Deno.addSignalListener(signal, () => void stop())
