/**
 * Upstash's REST protocol over a real redis-server on this machine, for development and tests without the service.
 *
 * It supports `/`, `/pipeline`, `/multi-exec` and commands as paths, with tokens, Base64, RESP 2 and sync tokens,
 * within the service's limits. Scripts may ask for locks by key, and may then use only the keys they declare. There is
 * no streaming: `SUBSCRIBE` and `MONITOR` are refused.
 *
 * @module
 */
import type * as Redis from 'redis'
import { type Answered, type Asked, type Fault, type Handler, type LocalServer, inJson, listen } from './server.ts'
import { type Reply, toJson, toResp } from './upstash-replies.ts'
import { translateScripts } from './upstash-scripts.ts'

/** Options of {@link startUpstash}. */
export interface UpstashServerOptions {
  /** The URL of the redis-server: `redis://127.0.0.1:6379`. */
  readonly redis: string
  /**
   * The URL of a replica with older data. It answers reads with the fault `stale`, unless their sync token demands
   * newer data.
   */
  readonly replica?: string
  /** The token that allows everything; `local` by default. */
  readonly token?: string
  /** A token that only allows reads, and no listing of keys; none by default. */
  readonly readOnlyToken?: string
  /** The port; 0, the default, chooses a free one. */
  readonly port?: number
}

/** A local Upstash. */
export interface UpstashServer extends LocalServer {
  readonly token: string
  readonly readOnlyToken: string | undefined
}

type Client = Awaited<ReturnType<typeof connect>>
type Library = typeof Redis

/** The service's limit for a request and for an answer, in bytes. */
const MAX_BYTES = 10_000_000
/** Resolves paths, which alone are not URLs. */
const BASE = 'http://127.0.0.1'
const METHODS = ['GET', 'POST', 'PUT', 'HEAD']
const REFUSED = /^(p?subscribe|p?unsubscribe|monitor|multi|exec|discard|watch)$/i

/** An error that is answered with this HTTP status. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * Starts the server.
 *
 * @param options - the redis-server, tokens and port
 * @returns the server, listening on 127.0.0.1; closing it leaves the redis-server running
 * @throws if the package `redis` is not installed, a redis-server cannot be reached, or the port is taken; no
 *   connection is left then
 */
export async function startUpstash(options: UpstashServerOptions): Promise<UpstashServer> {
  const { token = 'local', readOnlyToken, port = 0 } = options
  const library = await load()
  const clients: Client[] = []
  async function connected(url: string): Promise<Client> {
    const client = await connect(library, url)
    clients.push(client)
    return client
  }
  function disconnect(): void {
    for (const client of clients) if (client.isOpen) client.destroy()
  }
  try {
    const redis = await connected(options.redis)
    const replica = options.replica === undefined ? undefined : await connected(options.replica)
    const server = await listen(handlerOf(library, redis, replica, token, readOnlyToken), { port })
    return {
      ...server,
      token,
      readOnlyToken,
      async close() {
        await server.close()
        disconnect()
      },
    }
  } catch (cause) {
    disconnect()
    throw cause
  }
}

/** Makes the handler of requests. */
function handlerOf(
  { ErrorReply, MultiErrorReply }: Library,
  redis: Client,
  replica: Client | undefined,
  token: string,
  readOnlyToken: string | undefined,
): Handler {
  const scripts = translateScripts()
  const kinds = new Map<string, readonly string[]>()
  /** Sync tokens are growing numbers: the token of the last write proves that it was seen. */
  let served = 0
  let lastWrite = 0

  /** The flags of a command; empty if there is no such command. */
  async function kindOf(name: string): Promise<readonly string[]> {
    const known = kinds.get(name)
    if (known) return known
    const [info] = (await redis.sendCommand(['COMMAND', 'INFO', name])) as unknown as (
      | [unknown, unknown, Buffer[]]
      | null
    )[]
    const flags = info?.[2].map(String) ?? []
    kinds.set(name, flags)
    return flags
  }

  /** The error if a token does not allow the command. */
  async function refusal(command: readonly string[], mayWrite: boolean): Promise<Error | undefined> {
    const name = command[0]!.toLowerCase()
    if (REFUSED.test(name)) return new ErrorReply(`ERR Command is not available: '${name}'`)
    if (mayWrite || ['ping', 'echo', 'time'].includes(name)) return undefined
    if ((await kindOf(name)).includes('readonly') && name !== 'scan' && name !== 'keys') return undefined
    return new ErrorReply(`NOPERM this user has no permissions to run the '${name}' command or its subcommand`)
  }

  /** Executes one command. An error reply is returned, not thrown. */
  async function execute(command: readonly string[], target: Client): Promise<Reply> {
    try {
      const reply = (await target.sendCommand(scripts.translate(command))) as unknown as Reply
      const isLoad = /^script load$/i.test(command.slice(0, 2).join(' '))
      return isLoad && reply !== null ? Buffer.from(scripts.original(String(reply))) : reply
    } catch (error) {
      if (error instanceof ErrorReply) return error
      throw error
    }
  }

  async function transaction(commands: readonly (readonly string[])[]): Promise<readonly Reply[]> {
    const multi = redis.multi()
    for (const command of commands) multi.addCommand(scripts.translate(command))
    try {
      return (await multi.exec()) as unknown as Reply[]
    } catch (error) {
      if (error instanceof MultiErrorReply) return error.replies
      throw error
    }
  }

  /** The server for a command: a read may go to a replica, unless the sync token demands newer data. */
  async function targetOf(
    commands: readonly (readonly string[])[],
    { headers }: Asked,
    fault: Fault | undefined,
  ): Promise<Client> {
    const flags = await Promise.all(commands.map((command) => kindOf(command[0]!.toLowerCase())))
    if (!flags.every((of) => of.includes('readonly'))) {
      lastWrite = served
      return redis
    }
    const isStale = fault !== undefined && 'stale' in fault
    const seen = Number(headers['upstash-sync-token'] ?? 0)
    return replica === undefined || !isStale || seen >= lastWrite ? redis : replica
  }

  /** Executes the commands of one request. All are checked before the first is sent, so that they are sent together. */
  async function executeAll(
    commands: readonly (readonly string[])[],
    mayWrite: boolean,
    target: Client | 'transaction',
  ): Promise<readonly Reply[]> {
    const refusals = await Promise.all(commands.map((command) => refusal(command, mayWrite)))
    if (target !== 'transaction') {
      return Promise.all(commands.map(async (command, i) => refusals[i] ?? execute(command, target)))
    }
    const refused = refusals.find((it) => it !== undefined)
    if (refused) throw refused
    return transaction(commands)
  }

  async function answer(request: Asked, fault: Fault | undefined): Promise<Answered> {
    const { method, path, headers, body } = request
    if (!METHODS.includes(method)) throw new Refusal(405, 'ERR Method not allowed')
    const url = new URL(path, BASE)
    const given = url.searchParams.get('_token') ?? /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
    const mayWrite = given === token
    if (given === undefined || (!mayWrite && given !== readOnlyToken)) {
      throw new Refusal(401, 'WRONGPASS invalid or missing auth token')
    }
    const size = Buffer.byteLength(body)
    if (size > MAX_BYTES) {
      throw new Refusal(413, `ERR max request size exceeded. Limit: ${MAX_BYTES} bytes, Actual: ${size} bytes`)
    }
    const base64 = headers['upstash-encoding'] === 'base64'
    const resp = headers['upstash-response-format'] === 'resp2' && url.pathname !== '/multi-exec'
    if (base64 && resp) throw new Refusal(400, 'ERR base64 encoding cannot be used with the resp2 format')
    const result = (reply: Reply): Record<string, unknown> =>
      reply instanceof Error ? { error: reply.message } : { result: toJson(reply, base64) }

    if (url.pathname === '/pipeline' || url.pathname === '/multi-exec') {
      const commands = commandsOf(body)
      const target = await targetOf(commands, request, fault)
      const replies = await executeAll(commands, mayWrite, url.pathname === '/pipeline' ? target : 'transaction')
      return resp ? inResp(Buffer.concat(replies.map(toResp)), 200) : bounded(replies.map(result), 200)
    }
    const command = url.pathname === '/' ? commandOf(parsed(body)) : pathCommand(url, body)
    const [reply = null] = await executeAll([command], mayWrite, await targetOf([command], request, fault))
    const status = reply instanceof Error ? 400 : 200
    return resp ? inResp(toResp(reply), status) : bounded(result(reply), status)
  }

  function refused(error: unknown): Answered {
    if (error instanceof Refusal) return inJson({ error: error.message }, error.status)
    if (error instanceof ErrorReply) return inJson({ error: error.message }, 400)
    return inJson({ error: 'The redis-server cannot be reached' }, 503)
  }

  return async (request, fault) => {
    const syncToken = String(++served)
    const { headers, ...rest } = await answer(request, fault).catch(refused)
    return { ...rest, headers: { ...headers, 'upstash-sync-token': syncToken } }
  }
}

/** Loads the Redis client, an optional peer dependency, which the other servers do not need. */
async function load(): Promise<Library> {
  try {
    return await import('redis')
  } catch (cause) {
    throw new Error('The local Upstash needs the package redis. Run npm install redis', { cause })
  }
}

async function connect({ RESP_TYPES, createClient }: Library, url: string) {
  let hasConnected = false
  // If nothing has ever answered, the URL is wrong.
  const reconnectStrategy = (tries: number): number | false => hasConnected && Math.min(10 * tries, 100)
  // A command that cannot be sent now is refused now, as by the service.
  const client = createClient({ url, RESP: 2, disableOfflineQueue: true, socket: { reconnectStrategy } })
  // The client reconnects by itself. Commands sent meanwhile are refused.
  client.on('error', () => {})
  await client.connect()
  hasConnected = true
  return client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
}

/** Makes an answer. @throws a {@link Refusal} if it is longer than the service allows */
function bounded(content: unknown, status: number): Answered {
  const answer = inJson(content, status)
  const size = Buffer.byteLength(answer.body)
  if (size > MAX_BYTES) {
    throw new Refusal(400, `ERR max response size exceeded. Limit: ${MAX_BYTES} bytes, Actual: ${size} bytes`)
  }
  return answer
}

const inResp = (body: Buffer, status: number): Answered => ({
  status,
  headers: { 'content-type': 'application/octet-stream' },
  body,
})

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new Refusal(400, 'ERR failed to parse the command: the body is not JSON')
  }
}

function commandOf(given: unknown): string[] {
  const isArgument = (item: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof item)
  if (!Array.isArray(given) || given.length === 0 || !given.every(isArgument)) {
    throw new Refusal(400, 'ERR failed to parse the command: it must be a list of strings, numbers and booleans')
  }
  return given.map(String)
}

function commandsOf(body: string): string[][] {
  const given = parsed(body)
  if (!Array.isArray(given)) throw new Refusal(400, 'ERR failed to parse the pipeline: it must be a list of commands')
  return given.map(commandOf)
}

/** Parses `/SET/key?EX=100`: the body is the next argument, then come the parameters. */
function pathCommand({ pathname, searchParams }: URL, body: string): string[] {
  const command = pathname.slice(1).split('/').map(decodeURIComponent)
  if (body !== '') command.push(body)
  for (const [name, value] of searchParams) if (name !== '_token') command.push(name, ...(value === '' ? [] : [value]))
  return command
}
