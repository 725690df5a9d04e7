/**
 * The HTTP server that the local stand-ins share: a handler on a free loopback port. It counts and measures every
 * request, and injects network faults on request.
 *
 * Requests and answers are plain objects. Client and server often share one process, where the objects of `fetch` with
 * their streams would cost more CPU than the database.
 *
 * @module
 */
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A fault to inject into one request. */
export type Fault =
  /** Cuts the connection, before the request is executed or instead of the answer. */
  | { readonly cut: 'request' | 'answer' }
  /** Answers with this, and executes nothing. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
  /** Executes the request, but reads from a replica with older data, if the protocol knows replicas. */
  | { readonly stale: true }

/** A request, seen before it is executed. */
export interface RequestSeen {
  /** Counted from 1 since the server started. */
  readonly number: number
  readonly method: string
  readonly path: string
  readonly body: string
}

/** The traffic since the server started, or since {@link LocalServer.resetTraffic}. */
export interface Traffic {
  readonly requests: number
  /** Bytes of all request bodies, and of the largest one. */
  readonly received: number
  readonly largestRequest: number
  /** Bytes of all answer bodies, and of the largest one. */
  readonly sent: number
  readonly largestAnswer: number
}

/** A complete request. */
export interface Asked {
  readonly method: string
  /** With the leading slash and the query. */
  readonly path: string
  /** By lower-case names. */
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A complete answer. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/** Makes an answer in JSON. */
export const inJson = (
  content: unknown,
  status: number,
  headers: Answered['headers'] = {},
): Answered & { readonly body: string } => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(content),
})

/** Answers one request. `fault` is for faults that the protocol itself must produce. */
export type Handler = (request: Asked, fault: Fault | undefined) => Promise<Answered>

/** A listening server. */
export interface LocalServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** Returns the traffic so far. */
  traffic(): Traffic
  /** Resets the counts to zero. */
  resetTraffic(): void
  /** Sets a function that chooses a fault for each request from now on; `undefined` ends the faults. */
  setFaults(choose: ((request: RequestSeen) => Fault | undefined) | undefined): void
  /**
   * Sets the wait before a request is executed, and again before it is answered, in milliseconds: half a round trip
   * each.
   */
  setLatency(milliseconds: number): void
  /** Ends connections and stops listening. Idempotent. */
  close(): Promise<void>
}

const INJECTED = { error: 'Injected' }

/**
 * Starts a server on 127.0.0.1.
 *
 * @param handler - answers the requests
 * @param options - `port`: the port; 0, the default, chooses a free one
 */
export async function listen(handler: Handler, options: { readonly port?: number } = {}): Promise<LocalServer> {
  let faults: ((request: RequestSeen) => Fault | undefined) | undefined
  let latency = 0
  let number = 0
  let traffic = noTraffic()

  /** Makes the answer to send; `undefined` if the connection is to be cut. */
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
      // The client is gone, or the handler failed. In both cases there is nobody to tell.
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
