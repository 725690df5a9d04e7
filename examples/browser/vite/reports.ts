/** A server for reports, in memory. It recognises a repeated report by its idempotency key. @module */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Connect, Plugin } from 'vite'

/** A report as the server lists it. */
export interface Received {
  readonly key: string
  /** The size of the report with its photos. */
  readonly bytes: number
  /** How often the report was sent. */
  readonly times: number
}

/** A plugin for Vite: `POST /api/reports` takes a report, `GET` lists them. */
export function reports(): Plugin {
  const received = new Map<string, Received>()
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, received).then(
      (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
      () => response.writeHead(400).end(),
    )
  }
  const serve = ({ middlewares }: { readonly middlewares: Connect.Server }): void => {
    middlewares.use('/api/reports', handle)
  }
  return { name: 'reports', configureServer: serve, configurePreviewServer: serve }
}

async function answer(request: IncomingMessage, received: Map<string, Received>): Promise<unknown> {
  if (request.method === 'GET') return [...received.values()]
  const key = request.headers['idempotency-key']
  if (request.method !== 'POST' || typeof key !== 'string') throw new Error('A report must have an idempotency key')
  let bytes = 0
  for await (const chunk of request) bytes += (chunk as Buffer).length
  const times = (received.get(key)?.times ?? 0) + 1
  received.set(key, { key, bytes, times })
  return { receipt: `Received, ${bytes} bytes` }
}
