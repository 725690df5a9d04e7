/**
 * A server of libSQL for tests: the pipelines of Hrana over HTTP, version 3 in JSON, as far as batches need them, over a
 * file. No server of libSQL's own comes from a registry of packages.
 */
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type Sqlite from 'better-sqlite3'

type Wire =
  | { type: 'null' }
  | { type: 'integer'; value: string }
  | { type: 'float'; value: number }
  | { type: 'text'; value: string }
  | { type: 'blob'; base64: string }

interface Step {
  readonly condition?: Condition | null
  readonly stmt: { sql?: string; sql_id?: number; args?: Wire[] }
}
type Asked =
  | { type: 'store_sql'; sql_id: number; sql: string }
  | { type: 'batch'; batch: { steps: Step[] } }
  | { type: 'close' | 'close_sql' }
type Condition =
  | { type: 'ok' | 'error'; step: number }
  | { type: 'not'; cond: Condition }
  | { type: 'and' | 'or'; conds: Condition[] }
  | { type: 'is_autocommit' }

const toValue = (wire: Wire): unknown => {
  if (wire.type === 'null') return null
  if (wire.type === 'blob') return Buffer.from(wire.base64, 'base64')
  return wire.type === 'integer' ? BigInt(wire.value) : wire.value
}

const toWire = (value: unknown): Wire => {
  if (value === null) return { type: 'null' }
  if (typeof value === 'bigint') return { type: 'integer', value: String(value) }
  if (typeof value === 'number') return { type: 'float', value }
  if (typeof value === 'string') return { type: 'text', value }
  return { type: 'blob', base64: Buffer.from(value as Uint8Array).toString('base64') }
}

/** A server, and the HTTP status that it answers its next requests with, after it has executed them or before. */
export interface Hrana {
  readonly url: string
  readonly failures: { readonly status: number; readonly isLost?: boolean }[]
  close(): Promise<void>
}

/** A transaction never outlives its request, so one connection serves all. */
export async function startHrana(db: Sqlite.Database): Promise<Hrana> {
  db.defaultSafeIntegers()
  const failures: Hrana['failures'] = []

  function execute({ sql, sql_id, args = [] }: Step['stmt'], stored: Map<number, string>) {
    const statement = db.prepare(sql ?? stored.get(sql_id!)!)
    // By number: `?1` is the first, however often it is used.
    const values = args.length > 0 ? [Object.fromEntries(args.map((arg, i) => [i + 1, toValue(arg)]))] : []
    if (!statement.reader) {
      const { changes } = statement.run(...values)
      return { cols: [], rows: [], affected_row_count: changes, last_insert_rowid: null }
    }
    const cols = statement.columns().map(({ name, type }) => ({ name, decltype: type }))
    const rows = statement.raw().all(...values) as unknown[][]
    return { cols, rows: rows.map((row) => row.map(toWire)), affected_row_count: 0, last_insert_rowid: null }
  }

  function batch(steps: readonly Step[], stored: Map<number, string>) {
    const results: (ReturnType<typeof execute> | null)[] = []
    const errors: ({ message: string; code: string } | null)[] = []
    const holds = (condition: Condition): boolean => {
      if ('step' in condition) return (condition.type === 'ok' ? results : errors)[condition.step] !== null
      if ('cond' in condition) return !holds(condition.cond)
      if ('conds' in condition) return condition.conds[condition.type === 'and' ? 'every' : 'some'](holds)
      return !db.inTransaction
    }
    for (const { condition, stmt } of steps) {
      const [i] = [results.push(null) - 1, errors.push(null)]
      if (condition && !holds(condition)) continue
      try {
        results[i] = execute(stmt, stored)
      } catch (cause) {
        const { code, message } = cause as Error & { code: string }
        errors[i] = { code, message: `${code}: ${message}` }
      }
    }
    return { type: 'batch', result: { step_results: results, step_errors: errors } }
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (request.headers.get('authorization') !== 'Bearer secret') return new Response('Unauthorized', { status: 401 })
    if (request.method === 'GET') return new Response(null, { status: pathname === '/v3' ? 200 : 404 })
    const failure = failures.shift()
    const failed = failure && new Response('Failed', { status: failure.status })
    if (failed && !failure.isLost) return failed
    const { requests } = (await request.json()) as { requests: Asked[] }
    const stored = new Map<number, string>()
    const results = requests.map((asked) => {
      if (asked.type === 'store_sql') stored.set(asked.sql_id, asked.sql)
      return { type: 'ok', response: asked.type === 'batch' ? batch(asked.batch.steps, stored) : { type: asked.type } }
    })
    if (db.inTransaction) db.exec('ROLLBACK')
    if (failed) return failed
    return Response.json({ baton: null, base_url: null, results })
  }

  let server!: ReturnType<typeof serve>
  const { port } = await new Promise<AddressInfo>((resolve) => {
    server = serve({ fetch: answer, hostname: '127.0.0.1', port: 0 }, resolve)
  })
  return {
    url: `http://127.0.0.1:${port}`,
    failures,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}
