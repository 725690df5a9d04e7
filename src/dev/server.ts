/**
 * The HTTP side that the local stand-ins share: a handler on a free loopback port, every request counted and sized, and
 * faults on request, so that tests can have the network lie.
 *
 * Requests and answers are plain objects: client and server often share a process and its CPU, and those of `fetch` with
 * their streams cost more there than the database.
 *
 * @module
 */
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

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

/** A request, all of it. */
export interface Asked {
  readonly method: string
  /** With its leading slash, and with its query. */
  readonly path: string
  /** By names in lower case. */
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** An answer, all of it. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/** An answer in JSON. */
export const inJson = (
  content: unknown,
  status: number,
  headers: Answered['headers'] = {},
): Answered & { readonly body: string } => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(content),
})

/** Answers one request; `fault` is there for what a protocol has to do itself. */
export type Handler = (request: Asked, fault: Fault | undefined) => Promise<Answered>

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

const INJECTED = { error: 'Injected' }

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

  /** What to send; nothing where the connection is to be cut. */
  async function answer(incoming: IncomingMessage): Promise<Answered | undefined> {
    const bytes = await bytesOf(incoming)
    number++
    const { method = '', url: path = '', headers } = incoming
    const asked = { method, path, headers, body: bytes.toString() }
    traffic.requests++
    traffic.received += bytes.length
    traffic.largestRequest = Math.max(traffic.largestRequest, bytes.length)
    const fault = faults?.({ number, method, path, body: asked.body })
    if (fault && 'cut' in fault && fault.cut === 'request') return undefined
    await wait(latency)
    const answered =
      fault && 'status' in fault
        ? inJson(fault.body ?? INJECTED, fault.status, fault.headers)
        : await handler(asked, fault)
    await wait(latency)
    if (fault && 'cut' in fault) return undefined
    const size = Buffer.byteLength(answered.body)
    traffic.sent += size
    traffic.largestAnswer = Math.max(traffic.largestAnswer, size)
    return answered
  }

  const server = createServer((incoming, outgoing) => {
    answer(incoming).then(
      (answered) => (answered ? send(outgoing, answered) : incoming.socket.destroy()),
      // The client has gone, or the handler failed: either way there is nothing to tell.
      () => incoming.socket.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    traffic: () => ({ ...traffic }),
    resetTraffic: () => void (traffic = noTraffic()),
    setFaults: (choose) => void (faults = choose),
    setLatency: (milliseconds) => void (latency = milliseconds / 2),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function noTraffic() {
  return { requests: 0, received: 0, largestRequest: 0, sent: 0, largestAnswer: 0 }
}

async function bytesOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
}

function send(outgoing: ServerResponse, { status, headers, body }: Answered): void {
  outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  outgoing.end(body)
}

function wait(milliseconds: number): Promise<void> | undefined {
  return milliseconds > 0 ? new Promise((resolve) => setTimeout(resolve, milliseconds)) : undefined
}
