/** Promises that record whether anybody awaits them. @module */

/** A promise that records whether anybody awaits it, and whose rejection never ends the process. */
export class OutcomePromise<T> extends Promise<T> {
  /** Whether the promise is awaited or has a handler. */
  isHandled = false

  /** `then` returns plain promises. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a promise that has to see whether it is awaited
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isHandled = true
    return super.then(onFulfilled, onRejected)
  }
}

/** A promise and what settles it. */
export interface Deferred<T> {
  readonly promise: OutcomePromise<T>
  resolve(value: T): void
  reject(reason: unknown): void
}

/** Creates a promise that is settled from outside. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void
  let reject: (reason: unknown) => void
  const promise = new OutcomePromise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Bypasses the override of `then`, so that this handler does not count.
  void Promise.prototype.then.call(promise, undefined, () => {})
  return { promise, resolve: (value) => resolve(value), reject: (reason) => reject(reason) }
}
