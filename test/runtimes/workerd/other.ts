/** Another Worker, which serves what it has to the first: every path is a database, in a Durable Object of its own. */
import { type DurableObjectStorage, durableObject } from '../../../src/drivers/sqlite/durable-object.ts'
import { type Handler, createHandler } from '../../../src/served/http/index.ts'

export class ServedObject {
  #time = 0
  readonly #handler: Handler

  constructor({ storage }: { storage: DurableObjectStorage }) {
    const driver = durableObject({ storage, clock: () => this.#time, replayWindow: 120_000 })
    this.#handler = createHandler(driver, { authorize: () => 'tenant' })
  }

  fetch(request: Request): Promise<Response> {
    this.#time = Math.max(this.#time, Number(request.headers.get('time')))
    return this.#handler(request)
  }
}

interface Env {
  readonly SERVED: { idFromName(name: string): unknown; get(id: unknown): Pick<ServedObject, 'fetch'> }
}

export async function fetch(request: Request, { SERVED }: Env): Promise<Response> {
  return SERVED.get(SERVED.idFromName(new URL(request.url).pathname)).fetch(request)
}
