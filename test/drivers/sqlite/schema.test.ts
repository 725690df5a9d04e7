/** What users see of the file: the drizzle schema, the views, and what is left after a delete. */
import { type AnyColumn, eq, getViewSelectedFields, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { getTableConfig, getViewConfig, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../../src/core/driver.ts'
import { encodeId, tenantParts } from '../../../src/core/keys.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { SCHEMA_VERSION } from '../../../src/drivers/sqlite/migrations.ts'
import * as schema from '../../../src/drivers/sqlite/schema.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { run } from '../../../src/runner/index.ts'
import { PART, append, database, entriesOf, opened, put, request } from './support.ts'

const { requests, schemaVersion, ...views } = schema

async function fresh() {
  const client = database()
  const db = drizzle(client)
  return { client, db, driver: await opened(sqlite({ db })) }
}

describe('the drizzle schema', () => {
  test.each([requests, schemaVersion])('names the columns of table %#', async (table) => {
    const { client } = await fresh()
    const { name, columns, primaryKeys, indexes } = getTableConfig(table)
    const real = client.pragma(`table_info(${name})`) as { name: string; type: string; notnull: number; pk: number }[]
    expect(columns.map((c) => [c.name, c.getSQLType().toUpperCase(), c.notNull])).toEqual(
      real.map((c) => [c.name, c.type, c.notnull === 1]),
    )
    expect(primaryKeys.flatMap((key) => key.columns.map((c) => c.name))).toEqual(
      real.filter((c) => c.pk > 0).map((c) => c.name),
    )
    const names = client.prepare(
      `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql NOT NULL`,
    )
    expect(indexes.map((index) => index.config.name)).toEqual(names.pluck().all(name))
  })

  test.each(Object.values(views))('names the columns of view %#', async (view) => {
    const { client } = await fresh()
    const { name } = getViewConfig(view)
    const real = client.pragma(`table_info(${name})`) as { name: string }[]
    const fields = Object.values(getViewSelectedFields(view)) as AnyColumn[]
    expect(fields.map((column) => column.name)).toEqual(real.map((column) => column.name))
  })

  test('joins with tables of the user, over the same handle', async () => {
    const { db, driver } = await fresh()
    const orders = sqliteTable('orders', { id: integer('id').primaryKey(), runId: text('run_id') })
    db.run(sql`CREATE TABLE orders (id INTEGER PRIMARY KEY, run_id TEXT)`)
    db.insert(orders).values({ id: 17, runId: 'r1' }).run()
    await driver.commit(
      request([append('{"kind":"paid","at":5,"payload":{"cents":99}}'), append('{"kind":"sent","at":6}')]),
    )
    const { entries, events } = views
    const rows = db
      .select({ order: orders.id, kind: events.kind, payload: events.payload })
      .from(orders)
      .innerJoin(events, eq(events.runId, orders.runId))
      .orderBy(events.seq)
      .all()
    expect(rows).toEqual([
      { order: 17, kind: 'paid', payload: { cents: 99 } },
      { order: 17, kind: 'sent', payload: null },
    ])
    expect(Object.keys(getViewSelectedFields(entries))).toContain('expiresAt')
    expect(
      db
        .select({ n: sql<number>`count(*)` })
        .from(entries)
        .get(),
    ).toEqual({ n: 2 })
    expect(db.select().from(schemaVersion).all()).toEqual([{ version: SCHEMA_VERSION }])
  })
})

describe('the views', () => {
  const RUN_ID = 'order 17/ä😀~#!'
  const acme = tenantParts('acme corp')
  const at = acme.run(RUN_ID)

  test('show runs, steps, events, snapshots and values with their true names', async () => {
    const { db, driver } = await fresh()
    const run = {
      runId: RUN_ID,
      tenant: 'acme corp',
      workflow: 'order',
      createdAt: 5,
      status: 'completed',
      since: 9,
    }
    const event = { kind: 'started', stepId: 's1', at: 7, payload: [1, { a: null }] }
    const step = {
      stepId: 's 1/é',
      status: 'failed',
      result: { cents: [1] },
      error: 'E',
      startedAt: 6,
      completedAt: 8,
    }
    const snapshot = { version: 3, throughSeq: 2, updatedAt: 8, state: { items: ['x'] } }
    await driver.commit(
      request([
        put('run', JSON.stringify(run), at),
        { append: { part: at, key: 'event!' }, value: JSON.stringify(event) },
        put(`step!${encodeId(step.stepId, 'stepId')}`, JSON.stringify(step), at),
        put('snapshot', JSON.stringify(snapshot), at),
        put(`value!${encodeId('über x', 'key')}`, 'mine', at),
        put(encodeId('a b', 'key'), 'shared', acme.values),
        put(encodeId(RUN_ID, 'runId'), '', acme.runs),
      ]),
    )
    const whose = { tenant: 'acme corp', runId: RUN_ID }
    expect(db.select().from(views.runs).all()).toEqual([
      {
        ...whose,
        workflow: 'order',
        definitionVersion: null,
        status: 'completed',
        since: 9,
        createdAt: 5,
        data: run,
      },
    ])
    expect(db.select().from(views.steps).all()).toEqual([{ ...whose, ...step, data: step }])
    expect(db.select().from(views.events).all()).toEqual([{ ...whose, seq: 1, ...event, data: event }])
    expect(db.select().from(views.snapshots).all()).toEqual([{ ...whose, ...snapshot, data: snapshot }])
    expect(db.select().from(views.values).orderBy(views.values.value).all()).toEqual([
      { ...whose, name: 'über x', value: 'mine', expiresAt: null },
      { tenant: 'acme corp', runId: null, name: 'a b', value: 'shared', expiresAt: null },
    ])
  })

  test('show the results of steps of a workflow, which its events hold', async () => {
    const { db, driver } = await fresh()
    const outcome = await run(createHoldfast({ driver }), { runId: 'r 1', workflow: 'order' }, async (ctx) => {
      await ctx.step('charge', () => ({ cents: 4200 }))
      await ctx.step('note', () => undefined)
    })
    expect(outcome.status).toBe('completed')
    const { stepId, result } = views.steps
    expect(db.select({ stepId, result }).from(views.steps).all()).toEqual([
      { stepId: 'charge', result: { cents: 4200 } },
      { stepId: 'note', result: null },
    ])
  })

  test('decode every kind of character', async () => {
    const { db, driver } = await fresh()
    const ids = [
      'plain',
      ' ',
      '!',
      '"',
      '#',
      '~',
      '\u007f',
      'é',
      '￿',
      '😀',
      '\u{10ffff}',
      'a#0wb',
      '\u0001',
      '__proto__',
    ]
    const { values } = tenantParts('t')
    await driver.commit(request(ids.map((id) => put(encodeId(id, 'key'), 'v', values))))
    expect(
      db
        .select()
        .from(views.values)
        .all()
        .map((row) => row.name)
        .sort(),
    ).toEqual(ids.sort())
  })

  test('survive values that are no JSON, and leave out what has expired or is of another database', async () => {
    const { db, driver } = await fresh()
    const tenant = tenantParts('t')
    const part = (id: string): string => tenant.run(id)
    await driver.commit(
      request([
        put('run', 'no { json', part('text')),
        put('run', new Uint8Array([0xff, 0x7b]), part('bytes')),
        put('run', '5', part('number')),
        put('snapshot', 'null', part('text')),
        put('step!s', '{', part('text')),
        put('step"s', '{}', part('text')),
        { append: { part: part('bytes'), key: 'event!' }, value: new Uint8Array([1]) },
        put('value!v', new Uint8Array([1, 2]), part('bytes')),
        { put: { part: part('gone'), key: 'run' }, value: '{}', expires: { at: 1 } },
        { put: { part: part('gone'), key: 'value!v' }, value: '', expires: { at: 1 } },
        { put: { part: part('gone'), key: 'step!s' }, value: '{}', expires: { at: 1 } },
        put('run', '{}', `prefix!${part('other')}`),
        put('step!s', '{}', `prefix!${part('other')}`),
        put('value!v', '', `prefix!${part('other')}`),
      ]),
    )
    const nothing = { workflow: null, definitionVersion: null, status: null, since: null, createdAt: null }
    expect(db.select().from(views.runs).all()).toEqual([
      { tenant: 't', runId: 'bytes', ...nothing, data: null },
      { tenant: 't', runId: 'number', ...nothing, data: 5 },
      { tenant: 't', runId: 'text', ...nothing, data: null },
    ])
    expect(db.select().from(views.steps).all()).toEqual([
      {
        ...{ tenant: 't', runId: 'text', stepId: 's', status: null, result: null, error: null },
        ...{ startedAt: null, completedAt: null, data: null },
      },
    ])
    expect(db.select().from(views.events).all()).toMatchObject([{ runId: 'bytes', seq: 1, kind: null, data: null }])
    expect(db.select().from(views.snapshots).all()).toMatchObject([{ runId: 'text', version: null, data: null }])
    expect(db.select().from(views.values).all()).toMatchObject([{ runId: 'bytes', name: 'v' }])
  })

  test('find runs, steps and snapshots without reading the logs', async () => {
    const { client } = await fresh()
    for (const [view, key] of [
      ['holdfast_runs', 'key=?'],
      ['holdfast_steps', 'key>? AND key<?'],
      ['holdfast_snapshots', 'key=?'],
    ]) {
      const steps = client.prepare(`EXPLAIN QUERY PLAN SELECT * FROM ${view}`).all() as { detail: string }[]
      const plan = steps.map((step) => step.detail).join('\n')
      expect(plan).toContain(`SEARCH holdfast_keys USING PRIMARY KEY (part=? AND ${key})`)
      expect(plan).not.toMatch(/SCAN holdfast/)
    }
  })
})

test('nothing is left of a deleted part', async () => {
  const { client, driver } = await fresh()
  await driver.commit(request([append('a'), append('b'), put('run'), put('other', 'x', 'default!run!r10')]))
  await driver.commit(request([{ deletePart: PART }]))
  expect(client.prepare('SELECT part FROM holdfast_entries').pluck().all()).toEqual(['default!run!r10'])
})

test('a handle that gives integers as bigint', async () => {
  const client = database()
  client.defaultSafeIntegers(true)
  const driver = await opened(sqlite({ db: client, replayWindow: 1000, clock: () => 1000 }))
  const once = request([{ put: { part: PART, key: 'a' }, value: 'v', expires: { at: 1500.5 } }, append('e')])
  expect(await driver.commit(once)).toEqual({ now: 1000, outcomes: [{ ok: true, seqs: [1] }] })
  expect(await driver.commit(once)).toEqual({ now: 1000, outcomes: [{ ok: true, seqs: [1] }] })
  expect(await entriesOf(driver)).toMatchObject([{ expiresAt: 1501 }, { expiresAt: null }])
})

test('bytes are plain, owned by the caller, and told from text', async () => {
  const { driver } = await fresh()
  const bytes = new Uint8Array([1, 2, 3, 4])
  await driver.commit(
    request([
      put('a', bytes.subarray(1, 3)),
      put('b', new Uint8Array()),
      put('c', ''),
      put('d', '12'),
      put('e', Buffer.from('x')),
    ]),
  )
  const found = await entriesOf(driver)
  expect(found.map((entry) => entry.value)).toEqual([
    new Uint8Array([2, 3]),
    new Uint8Array(),
    '',
    '12',
    new Uint8Array([120]),
  ])
  for (const { value } of found) {
    if (typeof value === 'string') continue
    expect(value.constructor).toBe(Uint8Array)
    expect(value.byteLength).toBe(value.buffer.byteLength)
  }
})

test('two failed checks of one request share no bytes', async () => {
  const { driver } = await fresh()
  await driver.commit(request([put('a', new Uint8Array([1]))]))
  const stale = () => request([], { checks: [{ at: { part: PART, key: 'a' }, version: 'stale' }] }).commits[0]!
  const { outcomes } = await driver.commit({ id: 'both', commits: [stale(), stale()] })
  const [one, two] = outcomes.map((outcome) => (outcome.ok ? undefined : (outcome.failed[0]!.current as Entry).value))
  expect(one).toEqual(new Uint8Array([1]))
  expect(one).toEqual(two)
  expect(one).not.toBe(two)
})
