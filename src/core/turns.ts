/**
 * Turns of the event loop, and the clock they are measured by.
 *
 * All of it is the runtime's own, taken when this module is loaded: tests that put fake timers in place of the globals
 * stop neither the clock nor the turns.
 *
 * @module
 */
const { setImmediate, setTimeout, clearTimeout, MessageChannel } = globalThis
const readNow = performance.now.bind(performance)

/** Milliseconds on a clock that nobody sets. */
export const monotonic = (): number => readNow()

/** Calls back after so many milliseconds. @returns what stops it */
export function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** How long the event loop may go without a turn until one is asked for, in milliseconds: asking has its price. */
const TURNED = 5
/** How long until it is waited for. */
const MAX_TURN = 10

/**
 * Makes what is called before every batch: it lets the event loop turn where that has not happened for a while. Answers
 * of a synchronous driver come in microtasks, and a loop of awaited calls would keep every timer and request waiting.
 *
 * @returns a function that gives what to wait for, or `undefined` where there is no need to wait
 */
export function turns(): () => Promise<void> | undefined {
  const soon = turner()
  let next: Promise<void> | undefined
  let askedAt = 0
  let turnedAt = Number.NEGATIVE_INFINITY
  return () => {
    const now = monotonic()
    if (next) return now - askedAt > MAX_TURN - TURNED ? next : undefined
    if (now - turnedAt < TURNED) return undefined
    askedAt = now
    next = new Promise((resolve) => {
      soon(() => {
        next = undefined
        turnedAt = monotonic()
        resolve()
      })
    })
    return undefined
  }
}

/** Makes what calls back in a turn of its own. A timer is the last choice: hidden tabs are given few of them. */
function turner(): (callback: () => void) => void {
  // An object of Workers that lets nothing in while it works gets no timer and no immediate from before that.
  const isWorkers = 'WebSocketPair' in globalThis
  if (setImmediate && !isWorkers) return setImmediate
  if (!MessageChannel) return (callback) => setTimeout(callback, 0)
  let port: { postMessage(message: null): void } | undefined
  let called: () => void
  return (callback) => {
    // One at a time: nobody asks again before the turn has come.
    called = callback
    if (!port) {
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => called())
      port1.start()
      port = port2
    }
    port.postMessage(null)
  }
}
