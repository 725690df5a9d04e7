/**
 * Ports of every kind behind one face: what goes over them, how they are listened to, and how bytes are handed over.
 *
 * @module
 */
import type { Capabilities, Read, Value } from '../../core/driver.ts'
import type { WireError } from '../wire.ts'

/**
 * One end of a channel: a `MessagePort` or a `Worker` of the web, the global scope inside a dedicated worker, a
 * `MessagePort` or a `Worker` of Node, a `MessagePortMain` of Electron.
 */
export interface Port {
  /** What can be transferred differs from kind to kind, so no type of it is given. */
  postMessage(message: unknown, transfer: never[]): void
  /** Of the web's ports and Node's `MessagePort`; where it is missing, bytes are copied. */
  addEventListener?(type: string, listener: (event: unknown) => void): void
  /** Comes with `addEventListener`. */
  removeEventListener?(type: string, listener: (event: unknown) => void): void
  /** Of what has no `addEventListener`: Node's `Worker`, Electron's `MessagePortMain`. */
  on?(type: string, listener: (message: unknown) => void): unknown
  /** Comes with `on`. */
  off?(type: string, listener: (message: unknown) => void): unknown
  /** Lets messages come; what has none needs none. */
  start?(): void
}

/** The version of these messages. */
export const VERSION = 2

/** What a caller can ask for. */
export type Method = 'hello' | 'ping' | 'open' | 'read' | 'commit' | 'watch'

/** What a caller sends: a call, or that it does not wait for one any more. */
export type Request =
  | { readonly holdfast: number; readonly id: string; readonly call: Method; readonly body?: unknown }
  | { readonly holdfast: number; readonly abort: string }

/** What a server sends: the answer to a call, that it answers no more, or which parts have changed. */
export type Reply =
  | { readonly holdfast: number; readonly id: string; readonly value?: unknown }
  | { readonly holdfast: number; readonly id: string; readonly error: WireError }
  | { readonly holdfast: number; readonly closed: true }
  | { readonly holdfast: number; readonly changed: readonly string[] }

/** The body of a call to read. */
export interface ReadBody {
  readonly reads: readonly Read[]
  /** Of so many questions, the first, only keys and versions are asked for: their values were given before. */
  readonly known: number
}

/** What a caller says first. */
export interface Hello {
  /** Whether bytes may be transferred to this side. */
  readonly transfer: boolean
}

/** What it is answered. */
export interface Welcome extends Hello {
  readonly name: string
  readonly capabilities: Capabilities
  /** Whether changes can be told; a side that does not know of it says nothing. */
  readonly watch?: boolean
}

/**
 * Whether bytes can be transferred over this port. A `MessagePortMain` of Electron cannot, nor can what is entangled
 * with one; it has no `addEventListener`.
 */
export const canTransfer = (port: Port): boolean => port.addEventListener !== undefined

/** The other side has gone, or what it said is lost. `exit` is of Node's `Worker`. */
const ENDS = ['close', 'exit', 'messageerror'] as const

/**
 * Listens to a port; messages of others on the same port are left to them.
 *
 * @param onMessage - called with every message of ours, whose members are not checked
 * @param onEnd - called when the port says that nothing more will come
 * @returns what stops listening; the port stays open
 */
export function listen(port: Port, onMessage: (message: object) => void, onEnd: () => void): () => void {
  const received = (event: unknown): void => {
    // Node's `on` gives the message itself, all else an event that has it.
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
 * @param bytes - the buffers to transfer; one that cannot be is copied, with all others
 */
export function post(port: Port, message: Request | Reply, bytes: readonly ArrayBufferLike[] = []): void {
  try {
    port.postMessage(message, bytes as never[])
  } catch {
    // Shared memory, and that of native code, cannot be detached.
    port.postMessage(message, [])
  }
}

/**
 * Bytes that are ours and need not be kept, as they are to be posted: in a buffer of their own, because a window would
 * take all that is around it along.
 */
export const whole = (value: Value): Value =>
  typeof value === 'string' || value.byteLength === value.buffer.byteLength ? value : new Uint8Array(value)
