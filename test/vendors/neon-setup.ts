/**
 * Leads Neon's driver to the local servers: over HTTP to the one that speaks its protocol, and over its WebSockets,
 * which its tests compare with, past any proxy to PostgreSQL itself.
 */
import { type Socket, connect } from 'node:net'
import { neonConfig } from '@neondatabase/serverless'

/** Where nobody listens: what a host of another name comes to. */
const NOWHERE = 'http://127.0.0.1:1/sql'

neonConfig.fetchEndpoint = (host, port) => (host.endsWith('.neon.tech') ? `http://127.0.0.1:${port}/sql` : NOWHERE)

/** The part of a WebSocket that the driver uses, over a plain connection. */
class PlainSocket extends EventTarget {
  binaryType = 'arraybuffer'
  readonly #socket: Socket

  constructor() {
    super()
    this.#socket = connect(Number(process.env['HOLDFAST_VENDOR_POSTGRES']), '127.0.0.1')
    this.#socket.on('connect', () => this.dispatchEvent(new Event('open')))
    this.#socket.on('data', (bytes) => this.dispatchEvent(new MessageEvent('message', { data: copyOf(bytes) })))
    this.#socket.on('error', () => this.dispatchEvent(new Event('error')))
    this.#socket.on('close', () => this.dispatchEvent(new Event('close')))
  }

  get readyState(): number {
    return this.#socket.readyState === 'open' ? 1 : 3
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.end()
  }
}

const copyOf = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer

neonConfig.webSocketConstructor = PlainSocket as never
neonConfig.wsProxy = (host, port) => `${host}:${port}`
neonConfig.useSecureWebSocket = false
neonConfig.forceDisablePgSSL = true
neonConfig.pipelineConnect = false
