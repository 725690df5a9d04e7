/** A handler against one that does no more than to ask the driver, in process and by a socket. @module */
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { type Driver, memory } from 'holdfast'
import type { CommitRequest, Read } from 'holdfast/driver'
import { type Handler, createHandler } from 'holdfast/http'
import { replay } from 'holdfast/replay'
import { eventOf } from '../data.ts'
import type { RaceOptions } from '../measure.ts'
import { type Work, racePair } from './pair.ts'
import type { PairRow } from './report.ts'

const URL_OF_ALL = 'http://127.0.0.1/state'
const KEY = { part: 'bench', key: 'document' }
const VALUE = JSON.stringify(eventOf(0)).slice(0, 250)

const bare =
  (driver: Driver): Handler =>
  async (request) => {
    const asked = (await request.json()) as { reads: Read[] } | CommitRequest
    return Response.json('reads' in asked ? await driver.read(asked.reads) : await driver.commit(asked))
  }

let ids = 0
const putting = (): CommitRequest => {
  const id = `bench.${ids++}`
  return { id, commits: [{ id, checks: [], ops: [{ put: KEY, value: VALUE }], durability: 'relaxed' }] }
}

const BODIES: Readonly<Record<string, () => object>> = {
  get: () => ({ reads: [{ get: KEY }] }),
  put: putting,
}

type Send = (init: RequestInit) => Promise<Response>

const working =
  (send: Send, body: () => object): Work =>
  async (ops) => {
    for (let i = 0; i < ops; i++) {
      const response = await send({
        method: 'POST',
        headers: { 'content-type': 'application/vnd.holdfast' },
        body: `${JSON.stringify({ version: 1, ...body() })}\n`,
      })
      if (!response.ok) throw new Error(await response.text())
      await response.arrayBuffer()
    }
  }

async function bySocket(handler: Handler): Promise<{ send: Send; close: () => Promise<unknown> }> {
  let server!: ReturnType<typeof serve>
  const { port } = await new Promise<AddressInfo>((resolve) => {
    server = serve({ fetch: handler, hostname: '127.0.0.1', port: 0 }, resolve)
  })
  return {
    send: (init) => fetch(`http://127.0.0.1:${port}/state`, init),
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}

/** Two drivers in memory, of which one is asked through the handler. */
export async function measureHandler(options: RaceOptions): Promise<PairRow[]> {
  const make = async (): Promise<Driver> => {
    const driver = replay(memory())
    await driver.open()
    await driver.commit(putting())
    return driver
  }
  const handlers = [bare(await make()), createHandler(await make(), { authorize: () => 'tenant' })] as const
  const sockets = await Promise.all(handlers.map(bySocket))
  const sends: Readonly<Record<string, readonly Send[]>> = {
    'in process': handlers.map(
      (handler): Send =>
        (init) =>
          handler(new Request(URL_OF_ALL, init)),
    ),
    'by a socket': sockets.map(({ send }) => send),
  }
  const rows: PairRow[] = []
  for (const [where, [raw, ours]] of Object.entries(sends)) {
    for (const [what, body] of Object.entries(BODIES)) {
      rows.push(await racePair(`${what} ${where}`, working(raw!, body), working(ours!, body), options))
    }
  }
  await Promise.all(sockets.map(({ close }) => close()))
  return rows
}
