/**
 * How the driver reaches a server: through Upstash's client, with what would hurt here switched off, or through any
 * other by one function.
 *
 * @module
 */
import { invalid } from '../../core/errors.ts'

/** What is used of a client of `@upstash/redis`, 1.39 or newer. */
export interface UpstashClient {
  /** Runs a command of Redis. */
  exec(args: [command: string, ...args: (string | number | boolean)[]]): Promise<unknown>
}

/**
 * Any other client: sends one command, its name first, and resolves with the reply as the client decodes it; rejects
 * with an error whose message is the server's error reply.
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
  /** Sends a command, its name first, and resolves with the server's reply. */
  send(command: string[]): Promise<unknown>
}

/** A way to a server. */
export interface Link {
  readonly name: string
  /** Whether the server is Upstash's. */
  readonly isUpstash: boolean
  send(command: string[]): Promise<unknown>
}

/** What Upstash's client keeps behind its commands. */
interface Requester {
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: Readonly<Record<string, unknown>>
  request(request: { readonly body: readonly string[] }): Promise<{ result?: unknown; error?: string | undefined }>
}

/**
 * Makes a link of what the user handed in.
 *
 * @throws `INVALID_ARGUMENT` for anything but a client of `@upstash/redis` and an object with `send`
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
 * A requester of our own that inherits from the client's: the owner's settings stay as they are, and what we send goes
 * past automatic pipelines and deserialization, both of which sit in front of it.
 */
function overUpstash(client: Requester): Link {
  const { 'Upstash-Encoding': _, ...headers } = client.headers ?? {}
  const own = Object.assign(Object.create(client) as Requester, {
    headers,
    // Text is stored as well-formed text. Browsers refuse bodies over 64 KiB under keepalive, and an aborted signal
    // would look like an answer.
    options: { ...client.options, responseEncoding: false, keepAlive: false, signal: undefined },
    // Repeats are the driver's business, which knows when there is no point.
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
