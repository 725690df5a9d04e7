/** Promises that know whether somebody listens. @module */

/** A promise that remembers whether anybody has asked for its outcome, and whose rejection never ends the process. */
export class OutcomePromise<T> extends Promise<T> {
  /** Somebody awaits it, or has given it a handler. */
  isHandled = false

  /** What is made of it are plain promises. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise
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

/** Makes a promise that is settled from outside. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void
  let reject: (reason: unknown) => void
  const promise = new OutcomePromise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Past our own `then`: nobody has asked for it so far.
  void Promise.prototype.then.call(promise, undefined, () => {})
  return { promise, resolve: (value) => resolve(value), reject: (reason) => reject(reason) }
}
