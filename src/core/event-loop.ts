/**
 * Turns of the event loop, and the clock to measure them.
 *
 * Both use the runtime's own functions, read when this module is loaded. So tests that replace the globals with fake
 * timers stop neither the clock nor the turns.
 *
 * @module
 */
const { setImmediate, setTimeout, clearTimeout, MessageChannel } = globalThis
const readNow = performance.now.bind(performance)

/** Milliseconds on a monotonic clock, which nobody can set. */
export const monotonic = (): number => readNow()

/** Calls back after `ms` milliseconds. @returns a function that cancels it */
export function after(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms)
  return () => clearTimeout(timer)
}

/** Lets the event loop turn once. */
export const turned = (): Promise<void> => new Promise((resolve) => (setImmediate ?? setTimeout)(resolve))

/** The longest time without a turn before one is requested, in milliseconds. Each request has a cost. */
const TURNED = 5
/** The longest time without a turn before batches wait for one, in milliseconds. */
const MAX_TURN = 10
/** Batches wait for a turn after this many batches in any case: in Workers the clock stands still while code runs. */
const MANY_BATCHES = 500
/** The same for batches that take I/O. */
const MANY_IO_BATCHES = 100

/** Lets the event loop turn if it has not done so for a while. */
export interface Turns {
  /** Called before every batch. @returns a promise to wait for, or `undefined` if there is no need to wait */
  take(): Promise<void> | undefined
  /**
   * Called when the batch is gathered, which the caller's code may have held up. In Workers the clock stands still while
   * code runs, so nothing is known there. @returns a turn that is overdue
   */
  overdue?(): Promise<void> | undefined
  /** Called with the work of a batch that was sent; it never rejects. In Workers, work that takes I/O is a turn by itself. */
  sent?(work: Promise<void>): void
  /** Called after a call was added. In Workers it ends a wait for a timer that may never fire. */
  added(): void
}

/**
 * Makes the turns of one loop. A synchronous driver answers in microtasks, so without turns a loop of awaited calls
 * would hold up every timer and request.
 */
export const turns = (): Turns => (isInWorkers() ? turnsInWorkers() : plainTurns())

function plainTurns(): Turns {
  const soon = asker()
  let next: Promise<void> | undefined
  let askedAt = 0
  let turnedAt = Number.NEGATIVE_INFINITY
  const overdue = (now = monotonic()): Promise<void> | undefined =>
    now - askedAt > MAX_TURN - TURNED ? next : undefined
  return {
    overdue,
    take() {
      const now = monotonic()
      if (next) return overdue(now)
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
    },
    added: () => {},
  }
}

/** Microtasks after which the code of one event has come to rest. */
const RESTED = 50

async function rested(): Promise<void> {
  for (let i = 0; i < RESTED; i++) await Promise.resolve()
}

/**
 * In Workers only a timer lets the event loop turn, and timers have two traps. The clock stands still while code runs, so
 * batches count as well. And while an object lets nothing in (`blockConcurrencyWhile`), no timer set before that fires, nor
 * any timer after it: so no timer is set before it is waited for, and a call that another event adds ends the wait.
 *
 * A batch that takes I/O is a turn by itself. Only a local workerd looks at its timers when nothing else is ready, and
 * answers of a local D1 always are: so many such batches wait for a timer all the same, and even after one that has not
 * fired.
 */
function turnsInWorkers(): Turns {
  const soon = asker()
  /** Ends the wait for a turn. */
  let end: (() => void) | undefined
  /** The code that was running when the wait began has come to rest: whatever runs now is another event. */
  let hasRested = false
  /** A timer has not fired although another event came. Until it does, only many batches that take I/O wait again. */
  let isStuck = false
  let turnedAt = 0
  let takenAt = Number.NEGATIVE_INFINITY
  let batches = 0
  /** The last batch took I/O. */
  let isIo = false

  const begin = (): Promise<void> =>
    new Promise((resolve) => {
      const its = (): void => {
        if (end !== its) return
        end = undefined
        batches = 0
        turnedAt = monotonic()
        resolve()
      }
      end = its
      hasRested = false
      soon(() => {
        isStuck = false
        its()
      })
      void rested().then(() => (hasRested ||= end === its))
    })

  return {
    take() {
      const now = monotonic()
      // After I/O or a pause the loop has turned by itself.
      if (isIo || now - takenAt > MAX_TURN) turnedAt = now
      takenAt = now
      batches++
      if (!isStuck)
        return batches > (isIo ? MANY_IO_BATCHES : MANY_BATCHES) || now - turnedAt > MAX_TURN ? begin() : undefined
      if (batches % MANY_BATCHES !== 0) return undefined
      if (isIo) return begin()
      soon(() => (isStuck = false))
      return undefined
    },
    sent(work) {
      let isDone = false
      isIo = false
      void work.then(() => (isDone = true))
      void rested().then(() => (isIo = !isDone))
    },
    added() {
      if (!end || !hasRested) return
      isStuck = true
      end()
    },
  }
}

/** Makes a function that waits for a turn of the event loop: the code of this turn has come to rest then. */
export function nextTurn(): () => Promise<void> {
  const soon = asker()
  let turn: Promise<void> | undefined
  return () =>
    (turn ??= new Promise((resolve) => {
      soon(() => {
        turn = undefined
        resolve()
      })
    }))
}

const isInWorkers = (): boolean => 'WebSocketPair' in globalThis

/**
 * Picks a way to call back in a later turn. A timer is the last choice, because hidden tabs throttle timers; but in Workers
 * messages come in the same turn.
 */
const asker = (): ((callback: () => void) => void) =>
  isInWorkers() ? byTimer : (setImmediate ?? (MessageChannel ? byMessage : byTimer))

const byTimer = (callback: () => void): void => void setTimeout(callback, 0)

/** Callbacks in the order of their messages. */
const called: (() => void)[] = []
let port: { postMessage(message: null): void } | undefined

/** One channel for all: nothing ever closes it, and with many open channels a page of WebKit gets ten times slower. */
function byMessage(callback: () => void): void {
  if (!port) {
    const { port1, port2 } = new MessageChannel!()
    port1.addEventListener('message', () => called.shift()?.())
    port1.start()
    port = port2
  }
  called.push(callback)
  port.postMessage(null)
}
