/**
 * One interface to ports of every kind: the messages, listening, and transfer of bytes.
 *
 * @module
 */
import type { Capabilities, Read, Value } from '../../core/driver.ts'
import type { WireError } from '../wire.ts'

/**
 * One end of a channel: a web `MessagePort` or `Worker`, the global scope of a dedicated worker, a Node `MessagePort`
 * or `Worker`, or an Electron `MessagePortMain`.
 */
export interface Port {
  /** The type of transferable objects differs between kinds of ports, so none is declared. */
  postMessage(message: unknown, transfer: never[]): void
  /** On the web's ports and Node's `MessagePort`. Without it, bytes are copied. */
  addEventListener?(type: string, listener: (event: unknown) => void): void
  /** Present if `addEventListener` is. */
  removeEventListener?(type: string, listener: (event: unknown) => void): void
  /** On ports without `addEventListener`: Node's `Worker`, Electron's `MessagePortMain`. */
  on?(type: string, listener: (message: unknown) => void): unknown
  /** Present if `on` is. */
  off?(type: string, listener: (message: unknown) => void): unknown
  /** Starts the flow of messages. Ports without it need no start. */
  start?(): void
}

/** The version of the messages. */
export const VERSION = 2

/** The calls that a caller can make. */
export type Method = 'hello' | 'ping' | 'open' | 'read' | 'commit' | 'watch'

/** A message from a caller: a call, or that it no longer waits for one. */
export type Request =
  | { readonly holdfast: number; readonly id: string; readonly call: Method; readonly body?: unknown }
  | { readonly holdfast: number; readonly abort: string }

/** A message from a server: the answer to a call, that it stops serving, or changed parts. */
export type Reply =
  | { readonly holdfast: number; readonly id: string; readonly value?: unknown }
  | { readonly holdfast: number; readonly id: string; readonly error: WireError }
  | { readonly holdfast: number; readonly closed: true }
  | { readonly holdfast: number; readonly changed: readonly string[] }

/** The body of a `read` call. */
export interface ReadBody {
  readonly reads: readonly Read[]
  /** The number of leading questions for which only keys and versions are needed, because their values are known. */
  readonly known: number
}

/** The body of the first call. */
export interface Hello {
  /** Whether bytes may be transferred to this side. */
  readonly transfer: boolean
}

/** The answer to the first call. */
export interface Welcome extends Hello {
  readonly name: string
  readonly capabilities: Capabilities
  /** Whether the server announces changes. Absent on a server of a version before announcements. */
  readonly watch?: boolean
}

/**
 * Whether bytes can be transferred over this port. An Electron `MessagePortMain` cannot transfer, nor can the port
 * entangled with it; it has no `addEventListener`.
 */
export const canTransfer = (port: Port): boolean => port.addEventListener !== undefined

/** Events after which no more messages come, or one was lost. `exit` comes from Node's `Worker`. */
const ENDS = ['close', 'exit', 'messageerror'] as const

/**
 * Listens to a port. Ignores messages of others on the same port.
 *
 * @param onMessage - called with every message of this protocol; its members are not checked
 * @param onEnd - called when the port reports its end
 * @returns a function that stops listening; the port stays open
 */
export function listen(port: Port, onMessage: (message: object) => void, onEnd: () => void): () => void {
  const received = (event: unknown): void => {
    // Node's `on` passes the message itself; other ports pass an event that contains it.
    const message = isOurs(event) ? event : (event as { data?: unknown } | null)?.data
    if (isOurs(message)) onMessage(message)
  }
  const add = (port.addEventListener ?? port.on)!.bind(port)
  const remove = (port.removeEventListener ?? port.off)!.bind(port)
  add('message', received)
  for (const end of ENDS) add(end, onEnd)
  port.start?.()
  return () => {
    remove('message', received)
    for (const end of ENDS) remove(end, onEnd)
  }
}

const isOurs = (message: unknown): message is object =>
  typeof message === 'object' && message !== null && typeof (message as Partial<Request>).holdfast === 'number'

/**
 * Sends a message.
 *
 * @param bytes - the buffers to transfer; if one of them cannot be transferred, all are copied
 */
export function post(port: Port, message: Request | Reply, bytes: readonly ArrayBufferLike[] = []): void {
  try {
    port.postMessage(message, bytes as never[])
  } catch {
    // Shared memory, and memory of native code, cannot be detached.
    port.postMessage(message, [])
  }
}

/**
 * Prepares bytes that are no longer needed here for posting. They get a buffer of their own, because posting a view
 * would send the whole buffer.
 */
export const whole = (value: Value): Value =>
  typeof value === 'string' || value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value)
