/**
 * Ways to reach a server: Upstash's client, with its retries and other harmful features off, or any other client
 * through one function.
 *
 * @module
 */
import { invalid } from '../../core/errors.ts'

/** The parts used of a client of `@upstash/redis`, 1.39 or newer. */
export interface UpstashClient {
  /** Runs a command of Redis. */
  exec(args: [command: string, ...args: (string | number | boolean)[]]): Promise<unknown>
}

/**
 * Any other client. It sends one command, the name first, and resolves with the reply as the client decodes it. It
 * rejects with an error whose message is the server's error reply.
 *
 * @example
 * ```ts
 * import { createClient } from 'redis'
 * import { upstash } from 'holdfast/upstash'
 *
 * const client = createClient({ url: 'redis://127.0.0.1:6379' })
 * client.on('error', (error) => console.error(error.message))
 * const driver = upstash({ redis: { send: (command) => client.sendCommand(command) } })
 * // Connect the client before the driver is used: await client.connect()
 * ```
 */
export interface RedisHandle {
  /** Sends a command, the name first, and resolves with the server's reply. */
  send(command: string[]): Promise<unknown>
}

/** A connection to a server. */
export interface Link {
  readonly name: string
  /** Whether the server is Upstash. */
  readonly isUpstash: boolean
  send(command: string[]): Promise<unknown>
}

/** The object through which Upstash's client sends commands. */
interface Requester {
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: Readonly<Record<string, unknown>>
  request(request: { readonly body: readonly string[] }): Promise<{ result?: unknown; error?: string | undefined }>
}

/**
 * Makes a link from the given client.
 *
 * @throws `INVALID_ARGUMENT` for anything but a client of `@upstash/redis` or an object with `send`
 */
export function linkOf(redis: UpstashClient | RedisHandle): Link {
  const given = Object(redis) as Partial<RedisHandle> & { readonly client?: Partial<Requester> }
  if (typeof given.send === 'function') {
    const { send } = redis as RedisHandle
    return { name: 'redis', isUpstash: false, send: (command) => send.call(redis, command) }
  }
  if (typeof given.client?.request === 'function') return overUpstash(given.client as Requester)
  throw invalid('redis must be a client of @upstash/redis, or an object with a method send')
}

/**
 * Makes a requester that inherits from the client's. The settings of the client stay as they are, and our commands
 * bypass automatic pipelines and deserialization, which sit in front of the requester.
 */
function overUpstash(client: Requester): Link {
  const { 'Upstash-Encoding': _, ...headers } = client.headers ?? {}
  const own = Object.assign(Object.create(client) as Requester, {
    headers,
    // Stored text is well-formed, so answers need no encoding. Browsers refuse bodies over 64 KiB with keepalive. The
    // client answers an aborted signal with a normal reply.
    options: { ...client.options, responseEncoding: false, keepAlive: false, signal: undefined },
    // The driver repeats requests itself, because it knows when that makes no sense.
    retry: { attempts: 0, backoff: () => 0 },
    readYourWrites: true,
    upstashSyncToken: '',
  })
  return {
    name: 'upstash',
    isUpstash: true,
    async send(command) {
      const { result, error } = await own.request({ body: command })
      if (error !== undefined) throw new Error(error)
      return result
    },
  }
}
