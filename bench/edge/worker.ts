/** The Worker of the bench. Its clock stands still while it computes, so it is timed from outside. */
import { createHoldfast } from 'holdfast'
import { type D1Database, type D1Statement, d1 } from 'holdfast/d1'
import { type DurableObjectStorage, durableObject } from 'holdfast/durable-object'
import { RUN, documentOf, eventOf } from '../data.ts'
import type { D1Row } from './report.ts'

const PART = `default!run!${RUN}`
const TABLE = `CREATE TABLE IF NOT EXISTS raw_entries (
  part TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, expires_at INTEGER, value ANY NOT NULL,
  PRIMARY KEY (part, key)
) STRICT, WITHOUT ROWID`

/** Appends, by hand or by holdfast. */
export class BenchObject {
  readonly #storage: DurableObjectStorage
  readonly #holdfast
  #appended = 0

  constructor({ storage }: { storage: DurableObjectStorage }) {
    this.#storage = storage
    storage.sql.exec(TABLE)
    this.#holdfast = createHoldfast({ driver: durableObject({ storage }) })
  }

  async #append(n: number, isRaw: boolean): Promise<void> {
    if (!isRaw) {
      await this.#holdfast.persistence.append({ runId: RUN, workflow: 'bench', ...eventOf(n) })
      return
    }
    const key = `event!${String(n + 1).padStart(16, '0')}`
    const version = `0123456789abcdef.${n.toString(36)}`
    const value = JSON.stringify(eventOf(n))
    this.#storage.sql.exec('INSERT INTO raw_entries VALUES (?, ?, ?, NULL, ?)', PART, key, version, value)
  }

  async fetch({ url }: Request): Promise<Response> {
    const { searchParams } = new URL(url)
    const [ops, lanes] = [Number(searchParams.get('ops')), Number(searchParams.get('lanes'))]
    const isRaw = searchParams.get('by') === 'raw'
    const end = this.#appended + ops
    const lane = async (): Promise<void> => {
      while (this.#appended < end) await this.#append(this.#appended++, isRaw)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    return new Response()
  }
}

interface Env {
  readonly DB: D1Database
  readonly OBJECT: { idFromName(name: string): unknown; get(id: unknown): Pick<BenchObject, 'fetch'> }
}

async function countOverD1(db: D1Database): Promise<D1Row[]> {
  let batches = 0
  let statements = 0
  const counting: D1Database = {
    prepare: (query) => db.prepare(query),
    batch: (all: D1Statement[]) => {
      batches++
      statements += all.length
      return db.batch(all)
    },
  }
  const { db: database, state, persistence, claims, workflows } = createHoldfast({ driver: d1({ db: counting }) })
  const fields = { runId: RUN, workflow: 'bench' }
  const document = JSON.stringify(documentOf(0))
  let n = 0
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    'the first call': () => database.health(),
    set: () => state.set('document', document),
    get: () => state.get('document'),
    'set ten at once': () => Promise.all(Array.from({ length: 10 }, (_, i) => state.set(`d${i}`, document))),
    increment: () => state.increment('counter'),
    'append the first event': () => persistence.append({ ...fields, ...eventOf(n++) }),
    append: () => persistence.append({ ...fields, ...eventOf(n++) }),
    'append ten at once': () =>
      Promise.all(Array.from({ length: 10 }, () => persistence.append({ ...fields, ...eventOf(n++) }))),
    'load a log': () => persistence.load(RUN),
    'save a snapshot': () => state.saveSnapshot({ runId: RUN, state: document }),
    'load a snapshot': () => state.loadSnapshot(RUN),
    'create a run': () =>
      workflows.createRun({ runId: 'other', workflow: 'bench', position: { kind: 'step', stepId: 'charge' } }),
    'find tasks': () => claims.findAvailableTasks({ workerId: 'worker' }),
  }
  const rows: D1Row[] = []
  for (const [call, work] of Object.entries(calls)) {
    ;[batches, statements] = [0, 0]
    await work()
    rows.push({ call, batches, statements })
  }
  return rows
}

/** Makes holdfasts, as a request does. */
function make(db: D1Database, ops: number): Response {
  for (let i = 0; i < ops; i++) {
    const { state, persistence } = createHoldfast({ driver: d1({ db }) })
    if (!state || !persistence) throw new Error('There are no stores')
  }
  return new Response()
}

export async function fetch(request: Request, { DB, OBJECT }: Env): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  if (pathname === '/make') return make(DB, Number(searchParams.get('ops')))
  if (pathname === '/d1') return Response.json(await countOverD1(DB))
  const name = `${searchParams.get('by')} ${searchParams.get('lanes')}`
  return OBJECT.get(OBJECT.idFromName(name)).fetch(request)
}
