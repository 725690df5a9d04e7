/** A real PgBouncer in front of a server: a connection is the client's for the length of a transaction only. */
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, vi } from 'vitest'
import { spawnGuarded } from '../../../src/dev/guard.ts'
import { freePort } from '../../../src/dev/ports.ts'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'

/** Connections to each database: fewer than clients have, so that they share them. */
const CONNECTIONS = 2

/** A running pooler. */
export interface Pooler {
  /** The same database, through the pooler. */
  through(url: string): string
  stop(): Promise<void>
}

/** Starts one; resolves when it passes queries on. */
export async function startPooler(binary: string, server: PostgresServer): Promise<Pooler> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-pgbouncer-'))
  // It gives up being root before it reads them.
  chmodSync(directory, 0o755)
  const users = join(directory, 'users.txt')
  writeFileSync(users, '"postgres" ""\n')
  const port = await freePort()
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: 'transaction',
    default_pool_size: CONNECTIONS,
    ...(process.getuid?.() === 0 && { user: 'postgres' }),
  }
  const file = join(directory, 'pgbouncer.ini')
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const target = `* = host=127.0.0.1 port=${server.port} user=postgres`
  writeFileSync(file, ['[databases]', target, '[pgbouncer]', ...lines, ''].join('\n'))
  const child = spawnGuarded([binary, file], directory)
  const through = (url: string): string => url.replace(`:${server.port}/`, `:${port}/`)

  async function stop(): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    rmSync(directory, { recursive: true, force: true })
  }

  try {
    await vi.waitFor(async () => expect(await answers(through(server.url))).toBe(true), 60_000)
  } catch (cause) {
    await stop()
    throw cause
  }
  return { through, stop }
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString })
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}
