/** Finds calls that are made from inside of a step's function, which could never be replayed. @module */

interface Storage {
  run<T>(store: unknown, work: () => T): T
  getStore(): unknown
}

/** Where a step is done: by whom, and which. */
interface Place {
  readonly owner: object
  readonly stepId: string
}

let storage: Storage | undefined

/** Follows what a function begins through all of its awaits, where the runtime can; elsewhere up to its first await. */
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

/** Does the work of a step. */
export const inStep = <T>(owner: object, stepId: string, work: () => T): T => follower().run({ owner, stepId }, work)

/** Does what is part of no step, though a step may have begun it. */
export const outside = <T>(work: () => T): T => follower().run(undefined, work)

/** The step of this owner that is done at this place; `undefined` outside of steps. */
export function stepHere(owner: object): string | undefined {
  const place = follower().getStore() as Place | undefined
  return place?.owner === owner ? place.stepId : undefined
}
