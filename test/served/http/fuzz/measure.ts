/** What one piece of work costs this process. */
import { readFileSync, writeFileSync } from 'node:fs'

/** What a request cost. */
export interface Cost {
  /** The longest that the event loop stood still, in milliseconds. */
  readonly blocked: number
  /** By how many bytes the memory of the process grew, at the peak. */
  readonly memory: number
}

/** Memory that a request finds beyond what is held, in bytes, before it is collected. */
const SLACK = 8 * 2 ** 20

const statusOf = (name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))![1])

/** Makes what measures work, one piece after the other. Linux tells the peak of the memory. */
export function meter(): (work: () => Promise<void>) => Promise<Cost> {
  let held = 0
  return async (work) => {
    if (statusOf('VmRSS') > held + SLACK) {
      globalThis.gc!()
      held = statusOf('VmRSS')
    }
    // The peak begins anew.
    writeFileSync('/proc/self/clear_refs', '5')
    const before = statusOf('VmRSS')
    const probe = delayProbe()
    await work()
    const blocked = probe()
    return { blocked, memory: statusOf('VmHWM') - before }
  }
}

/** For how long this thread could have run and another was let to, in milliseconds. */
const waited = (): number => Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6

/**
 * Watches the event loop until it is called; tells the longest that it did not turn, but for the time that the machine had
 * no processor for it.
 */
function delayProbe(): () => number {
  let longest = 0
  let turned = performance.now() - waited()
  const look = (): void => {
    const now = performance.now() - waited()
    longest = Math.max(longest, now - turned)
    turned = now
  }
  const turn = (): void => {
    look()
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  return () => {
    clearImmediate(next)
    look()
    return longest
  }
}
