/**
 * The HTTP side that the local stand-ins share: a fetch handler on a free loopback port, every request counted and
 * sized, and faults on request, so that tests can have the network lie.
 *
 * @module
 */
import { type Http2Bindings, type HttpBindings, serve } from '@hono/node-server'

/** What goes wrong with one request. */
export type Fault =
  /** Cut the connection: before anything was executed, or after it was, in place of the answer. */
  | { readonly cut: 'request' | 'answer' }
  /** Answer this without executing anything. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
  /** Execute, but read from a replica that has not caught up, where the protocol knows replicas. */
  | { readonly stale: true }

/** A request as the faults see it, before it is executed. */
export interface RequestSeen {
  /** 1 for the first since the server started. */
  readonly number: number
  readonly method: string
  readonly path: string
  readonly body: string
}

/** The traffic since the server started, or since {@link LocalServer.resetTraffic}. */
export interface Traffic {
  readonly requests: number
  /** Bytes of request bodies, and the largest one. */
  readonly received: number
  readonly largestRequest: number
  /** Bytes of answer bodies, and the largest one. */
  readonly sent: number
  readonly largestAnswer: number
}

/** Answers one request; `fault` is there for what a protocol has to do itself. */
export type Handler = (request: Request, fault: Fault | undefined) => Promise<Response>

/** A server of this module, listening. */
export interface LocalServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** What came and went so far. */
  traffic(): Traffic
  /** Counts from zero again. */
  resetTraffic(): void
  /** Asked for each request from now on; `undefined` ends the faults. */
  setFaults(choose: ((request: RequestSeen) => Fault | undefined) | undefined): void
  /** Milliseconds to wait before a request is executed, and again before it is answered: half of a round trip each. */
  setLatency(milliseconds: number): void
  /** Ends connections and stops listening. Idempotent. */
  close(): Promise<void>
}

/**
 * Listens on 127.0.0.1.
 *
 * @param handler answers the requests
 * @param options `port`: 0, the default, takes a free one
 */
export async function listen(handler: Handler, options: { readonly port?: number } = {}): Promise<LocalServer> {
  let faults: ((request: RequestSeen) => Fault | undefined) | undefined
  let latency = 0
  let number = 0
  let traffic = noTraffic()

  const answer = async (request: Request, { incoming }: HttpBindings | Http2Bindings): Promise<Response> => {
    const text = await request.text()
    number++
    const { pathname, search } = new URL(request.url)
    const seen = { number, method: request.method, path: pathname + search, body: text }
    const received = Buffer.byteLength(text)
    traffic.requests++
    traffic.received += received
    traffic.largestRequest = Math.max(traffic.largestRequest, received)
    const fault = faults?.(seen)
    if (fault && 'cut' in fault && fault.cut === 'request') return cut(incoming)
    await wait(latency)
    const response =
      fault && 'status' in fault
        ? Response.json(fault.body ?? { error: 'Injected' }, { status: fault.status, headers: fault.headers ?? {} })
        : await handler(withBody(request, text), fault)
    await wait(latency)
    if (fault && 'cut' in fault) return cut(incoming)
    const body = new Uint8Array(await response.arrayBuffer())
    traffic.sent += body.length
    traffic.largestAnswer = Math.max(traffic.largestAnswer, body.length)
    return new Response(response.status === 204 ? null : body, response)
  }

  const server = await new Promise<ReturnType<typeof serve>>((resolve, reject) => {
    const started = serve({ fetch: answer, hostname: '127.0.0.1', port: options.port ?? 0 }, () => resolve(started))
    started.once('error', reject)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port')

  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    traffic: () => ({ ...traffic }),
    resetTraffic: () => void (traffic = noTraffic()),
    setFaults: (choose) => void (faults = choose),
    setLatency: (milliseconds) => void (latency = milliseconds / 2),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}

function noTraffic() {
  return { requests: 0, received: 0, largestRequest: 0, sent: 0, largestAnswer: 0 }
}

function withBody(request: Request, text: string): Request {
  return new Request(request.url, {
    method: request.method,
    headers: request.headers,
    ...(text === '' ? {} : { body: text }),
  })
}

/** The answer is never sent: its connection is gone. */
function cut(incoming: (HttpBindings | Http2Bindings)['incoming']): Response {
  incoming.socket.destroy()
  return new Response(null, { status: 500 })
}

function wait(milliseconds: number): Promise<void> | undefined {
  return milliseconds > 0 ? new Promise((resolve) => setTimeout(resolve, milliseconds)) : undefined
}
