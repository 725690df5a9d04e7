/** Finds calls made inside a step's function, which a replay could not repeat. @module */

interface Storage {
  run<T>(store: unknown, work: () => T): T
  getStore(): unknown
}

/** The step that runs, and the delivery that runs it. */
interface Place {
  readonly owner: object
  readonly stepId: string
}

let storage: Storage | undefined

/** Follows a function through all of its awaits if the runtime has `AsyncLocalStorage`; otherwise up to its first await. */
function follower(): Storage {
  if (storage) return storage
  const { process } = globalThis as {
    readonly process?: {
      getBuiltinModule?(name: string): { readonly AsyncLocalStorage: new () => Storage } | undefined
    }
  }
  const hooks = process?.getBuiltinModule?.('node:async_hooks')
  if (hooks) return (storage = new hooks.AsyncLocalStorage())
  let current: unknown
  return (storage = {
    run(store, work) {
      const before = current
      current = store
      try {
        return work()
      } finally {
        current = before
      }
    },
    getStore: () => current,
  })
}

/** Calls a function as the work of a step. */
export const inStep = <T>(owner: object, stepId: string, work: () => T): T => follower().run({ owner, stepId }, work)

/** Calls a function outside of any step, even if a step makes this call. */
export const outside = <T>(work: () => T): T => follower().run(undefined, work)

/** The id of the owner's step that makes this call; `undefined` outside of its steps. */
export function stepHere(owner: object): string | undefined {
  const place = follower().getStore() as Place | undefined
  return place?.owner === owner ? place.stepId : undefined
}
