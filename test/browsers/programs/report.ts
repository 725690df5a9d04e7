/** How a program speaks to whoever has sent it. */

interface Scope {
  readonly document?: unknown
  readonly location: { readonly search: string }
  readonly fetch: (url: string, init: { method: string; body: string }) => Promise<{ json(): Promise<unknown> }>
  readonly Worker: new (url: string, options: { type: 'module' }) => Worker
}

/** A worker, as its page sees it. */
export interface Worker {
  postMessage(message: unknown, transfer: readonly object[]): void
}

const scope = globalThis as unknown as Scope

/** Where a driver is used: the last one is that of a worker, by a page at the other end of a port. */
export type Realm = 'page' | 'worker' | 'channel'

/** Where this runs. */
export const REALM: 'page' | 'worker' = scope.document === undefined ? 'worker' : 'page'

/** The parameters of the address, after the question mark. */
export const QUERY = new URLSearchParams(scope.location.search)

/** Tells something, and returns what it is answered. */
export async function report(what: object): Promise<unknown> {
  const response = await scope.fetch('/report', { method: 'POST', body: JSON.stringify(what) })
  return response.json()
}

/** Runs this program in a worker as well, with something more in its query. */
export const startWorker = (more = ''): Worker =>
  new scope.Worker(`/program.js?${QUERY.toString()}${more}`, { type: 'module' })

/** What it was and why; some browsers leave the message out of the stack. */
export function describe(cause: unknown): string {
  const { stack = '', cause: reason } = cause as Error
  const told = stack.includes(String(cause)) ? stack : `${String(cause)}\n${stack}`
  return reason === undefined ? told : `${told}\nbecause of ${describe(reason)}`
}

/** Work by several lanes, each taking the next item when it is done with one. */
export async function inLanes<T>(lanes: number, items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
