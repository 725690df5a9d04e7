/** Runs one case of the suite inside of workerd: in a request, or in a Durable Object. */
import type { DurableObjectStorage } from '../../../src/drivers/sqlite/durable-object.ts'
import { type Env, HARNESSES, outcomeOf, overObject } from './harnesses.ts'

export class SuiteObject {
  readonly #storage: DurableObjectStorage

  constructor({ storage }: { storage: DurableObjectStorage }) {
    this.#storage = storage
  }

  fetch({ url }: Request): Promise<Response> {
    const { searchParams } = new URL(url)
    return outcomeOf(searchParams.get('case')!, overObject(this.#storage, Number(searchParams.get('replayWindow'))))
  }
}

export async function fetch(request: Request, env: Env): Promise<Response> {
  const { pathname, search, searchParams } = new URL(request.url)
  const harness = HARNESSES[pathname]?.(env, Number(searchParams.get('lane')))
  if (harness) return outcomeOf(searchParams.get('case')!, harness)
  return env.OBJECT.get(env.OBJECT.idFromName(search)).fetch(request)
}
