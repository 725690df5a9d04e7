/** How a program speaks to whoever has sent it. */

interface Scope {
  readonly document?: unknown
  readonly location: { readonly search: string }
  readonly fetch: (url: string, init: { method: string; body: string }) => Promise<{ json(): Promise<unknown> }>
  readonly Worker: new (url: string, options: { type: 'module' }) => unknown
}

const scope = globalThis as unknown as Scope

/** Where this runs. */
export const REALM: 'page' | 'worker' = scope.document === undefined ? 'worker' : 'page'

/** What the address asks for, behind the question mark. */
export const QUERY = new URLSearchParams(scope.location.search)

/** Tells something, and returns what it is answered. */
export async function report(what: object): Promise<unknown> {
  const response = await scope.fetch('/report', { method: 'POST', body: JSON.stringify(what) })
  return response.json()
}

/** Runs this program in a worker as well. */
export const startWorker = (): unknown => new scope.Worker(`/program.js${scope.location.search}`, { type: 'module' })

/** Work by several lanes, each taking the next item when it is done with one. */
export async function inLanes<T>(lanes: number, items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
