/** Handlers, callers and requests of the HTTP tests. */
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { memory } from '../../../src/drivers/memory.ts'
import type { CommitRequest, Driver } from '../../../src/core/driver.ts'
import {
  type Handler,
  type HandlerOptions,
  type RemoteOptions,
  createHandler,
  remote,
} from '../../../src/served/http/index.ts'
import { replay } from '../../../src/wrappers/replay.ts'

export const ENDPOINT = 'http://127.0.0.1/state'
export const MEDIA_TYPE = 'application/vnd.holdfast'

/** The tenant is whatever the header says. */
export const authorize: HandlerOptions['authorize'] = (request) => request.headers.get('authorization') ?? 401

/** A `fetch` that asks a handler in this process. */
export const fetchFrom =
  (handler: Handler): NonNullable<RemoteOptions['fetch']> =>
  (url, init) =>
    handler(new Request(url, init))

/** A caller of a handler in this process; of a fresh database where none is given. */
export const caller = (options: Partial<RemoteOptions> = {}, driver: Driver = replay(memory())): Driver =>
  remote({
    url: ENDPOINT,
    headers: { authorization: 'acme' },
    fetch: fetchFrom(createHandler(driver, { authorize })),
    capabilities: { durability: 'none' },
    random: () => 0,
    ...options,
  })

/** A handler on a real socket. */
export async function listen(handler: Handler): Promise<{ url: string; close: () => Promise<void> }> {
  let server!: ReturnType<typeof serve>
  const { port } = await new Promise<AddressInfo>((resolve) => {
    server = serve({ fetch: handler, hostname: '127.0.0.1', port: 0 }, resolve)
  })
  return {
    url: `http://127.0.0.1:${port}/state`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}

let ids = 0
/** Appends once to a log, unless it is given another value for a key. */
export function appending(value: string | Uint8Array = 'v'): CommitRequest {
  const id = `id${++ids}`
  const op = { append: { part: 'p', key: 'log!' }, value }
  return { id, commits: [{ id, checks: [], ops: [op], durability: 'relaxed' }] }
}

/** A body as anybody may send it. */
export const post = (body: ConstructorParameters<typeof Response>[0], headers: Record<string, string> = {}): Request =>
  new Request(ENDPOINT, {
    method: 'POST',
    body,
    headers: { authorization: 'acme', 'content-type': MEDIA_TYPE, ...headers },
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  } as RequestInit)
