/** Deliveries with duplicates to subscribers that fail, and a process that is killed: what became of them. */
import { setTimeout } from 'node:timers/promises'
import { withDirectory } from '../../support/engines.ts'
import { randomFrom } from '../../support/random.ts'
import { type Host, type Served, serve } from './hosts.ts'
import { startSubscribers } from './subscribers.ts'

const TOKEN = 'a-token-of-the-tests'
const SUBSCRIBERS = ['billing', 'audit']
const SENDERS = 10

/** What is played. */
export interface Plot {
  readonly deliveries: number
  /** How often the process is killed: evenly, while deliveries come in and are handed over. */
  readonly kills: number
  readonly seed: number
}

/** What came of it. */
export interface Result {
  /** How often something was sent, and answered. */
  readonly sent: number
  readonly kills: number
  /** Ids that were accepted as new more than once. */
  readonly acceptedMore: number
  /** Ids of which nobody was told that they are new: the answer was lost in a kill. */
  readonly acceptedUntold: number
  /** Runs that are there, and that are completed with one record per subscriber. */
  readonly runs: number
  readonly completed: number
  readonly recorded: number
  /** Handovers that never came, or came with another body. */
  readonly lost: number
  readonly garbled: number
  /** Handovers that came again. */
  readonly repeated: number
  readonly requests: number
  readonly failed: number
  readonly seconds: number
}

interface Item {
  readonly id: string
}

interface Shown {
  readonly events: readonly { readonly kind: string; readonly stepId?: string }[]
}

/** Sends everything in a random order, by senders that try again until they are answered, and kills the process meanwhile. */
export async function play(host: Host, { deliveries, kills, seed }: Plot): Promise<Result> {
  const start = performance.now()
  const random = randomFrom(seed)
  const ids = Array.from({ length: deliveries }, (_, i) => `delivery-${i}`)
  // Each once, and every third a second or third time.
  const copies = ids.flatMap((id) =>
    Array.from({ length: random() < 1 / 3 ? 2 + Math.floor(random() * 2) : 1 }, () => id),
  )
  const order = copies.map((id) => ({ id, at: random() })).toSorted((a, b) => a.at - b.at)
  const subscribers = await startSubscribers(seed, 0.3)
  const accepted = new Map<string, number>()

  return withDirectory(async (data) => {
    const app = await serve(host, data, {
      TOKEN,
      SUBSCRIBERS: JSON.stringify(Object.fromEntries(SUBSCRIBERS.map((name) => [name, subscribers.urlOf(name)]))),
      RETRY: JSON.stringify({ maxAttempts: 20, initialDelay: 20, maxDelay: 1000, jitter: true }),
    })
    let killed = 0
    const restart = async (): Promise<void> => {
      await app.kill()
      killed++
      await app.start()
    }

    /** As senders do: until it is answered. */
    async function send(id: string): Promise<void> {
      for (;;) {
        const response = await post(app, id).catch(() => undefined)
        if (response?.status === 202) accepted.set(id, (accepted.get(id) ?? 0) + 1)
        if (response?.ok) return
        if (response && response.status < 500) throw new Error(`${id} was answered ${response.status}`)
        await setTimeout(50)
      }
    }

    try {
      const queue = order.map(({ id }) => id)
      const part = Math.floor(queue.length / (kills + 1))
      const sender = async (): Promise<void> => {
        for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
          const isTime = queue.length % part === 0 && killed < kills
          // The others have something under way at that moment.
          await (isTime ? Promise.all([send(id), restart()]) : send(id))
        }
      }
      await Promise.all(Array.from({ length: SENDERS }, sender))
      while ((await list(app, 'running')).length + (await list(app, 'waiting')).length > 0) await setTimeout(200)

      const all = await list(app)
      const shown = await Promise.all(all.map(({ id }) => get(app, `/api/deliveries/${id}`) as Promise<Shown>))
      const handovers = ids.flatMap((id) =>
        SUBSCRIBERS.map((name) => ({ id, it: subscribers.taken.get(`${id}/${name}`) })),
      )
      const timesOf = ids.map((id) => accepted.get(id) ?? 0)
      return {
        sent: order.length,
        kills: killed,
        acceptedMore: timesOf.filter((times) => times > 1).length,
        acceptedUntold: timesOf.filter((times) => times === 0).length,
        runs: all.length,
        completed: (await list(app, 'completed')).length,
        recorded: shown.flatMap(({ events }) => events).filter(({ kind }) => kind === 'step.completed').length,
        lost: handovers.filter(({ it }) => it === undefined).length,
        garbled: handovers.filter(({ id, it }) => it && [...it.bodies].join() !== bodyOf(id)).length,
        repeated: handovers.reduce((sum, { it }) => sum + (it ? it.times - 1 : 0), 0),
        requests: subscribers.requests,
        failed: subscribers.failed,
        seconds: (performance.now() - start) / 1000,
      }
    } finally {
      await app.kill()
      await subscribers.close()
    }
  })
}

/** Something that a careless copy would change. */
const bodyOf = (id: string): string => JSON.stringify({ id, note: 'äöü 😀 \u2028 "quoted"' })

const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }

const post = (app: Served, id: string): Promise<Response> =>
  fetch(`${app.url}/api/deliveries`, {
    method: 'POST',
    headers: { ...HEADERS, 'webhook-id': id },
    body: bodyOf(id),
  })

async function get(app: Served, path: string): Promise<unknown> {
  const response = await fetch(app.url + path, { headers: HEADERS })
  if (!response.ok) throw new Error(`${path} was answered ${response.status}`)
  return response.json()
}

/** All deliveries of a status, page after page. */
async function list(app: Served, status = ''): Promise<Item[]> {
  const items: Item[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const query = new URLSearchParams({ status, ...(cursor && { cursor }) }).toString()
    const page = (await get(app, `/api/deliveries?${query}`)) as { items: Item[]; cursor?: string }
    items.push(...page.items)
    cursor = page.cursor
  }
  return items
}
