/** Subscribers that fail now and then, and remember what they were handed. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type Server, createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { randomFrom } from '../../support/random.ts'

/** What became of one handover. */
export interface Taken {
  /** How often it was taken: more than once where nobody could record that it was. */
  times: number
  readonly bodies: Set<string>
}

/** Servers for subscribers, by the path of their address. */
export interface Subscribers {
  /** The address of a subscriber. */
  urlOf(name: string): string
  /** By idempotency key. */
  readonly taken: ReadonlyMap<string, Taken>
  readonly requests: number
  readonly failed: number
  close(): Promise<void>
}

/**
 * Listens on 127.0.0.1. Whether a request fails is decided by the seed, its idempotency key and how often that came; of
 * those that fail, some are refused, and some are cut off.
 *
 * @param share - of the requests that fail, from 0 to 1
 */
export async function startSubscribers(seed: number, share: number): Promise<Subscribers> {
  const seen = new Map<string, number>()
  const taken = new Map<string, Taken>()
  let requests = 0
  let failed = 0

  const server: Server = createServer(async (request, response) => {
    requests++
    const key = String(request.headers['idempotency-key'])
    const n = (seen.get(key) ?? 0) + 1
    seen.set(key, n)
    const luck = randomFrom(createHash('sha256').update(`${seed} ${key} ${n}`).digest().readInt32LE())
    try {
      const body = await text(request)
      if (luck() < share) {
        failed++
        if (luck() < 0.5) request.socket.destroy()
        else response.writeHead(503).end('Not now')
        return
      }
      const it = taken.get(key) ?? { times: 0, bodies: new Set() }
      taken.set(key, it)
      it.times++
      it.bodies.add(body)
      response.writeHead(200).end()
    } catch {
      // Whoever sent it was killed.
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  return {
    urlOf: (name) => `http://127.0.0.1:${port}/${name}`,
    taken,
    get requests() {
      return requests
    },
    get failed() {
      return failed
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
