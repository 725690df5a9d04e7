/** Hears what workers report, and halts the first one that is at work in the middle of a step, so that it can be killed. */
import type { Deed } from './order.ts'
import type { Answer, Report, RunRecord } from './worker.ts'
import { recordsIn } from './worker.ts'

/** Begins at once, and is the one that dies. */
export const FIRST = 'first'
/** Begins when the first one is at work, and does what is left. */
export const SECOND = 'second'

/** An attempt that was reported. */
export interface ReportedDeed extends Deed {
  readonly worker: string
  /** Whether it never came to its end. */
  readonly isHalted: boolean
}

/** A play that has come to its end. */
export interface Play {
  /** In the order of their beginnings. */
  readonly deeds: readonly ReportedDeed[]
  readonly troubles: readonly string[]
  readonly records: readonly RunRecord[]
}

/** Where workers report. */
export interface Stage {
  take(report: Report): Promise<Answer>
  /** Resolves when one worker is halted, and another one is at work. */
  readonly isReady: Promise<void>
  readonly play: Promise<Play>
  /** How many reports of the halted worker have come. */
  heard(): number
}

/** From this attempt on, the first worker is halted. It has recorded some steps by then, and others are under way. */
const HALTED_FROM = 5

/** Makes a stage. @param kills - whether a worker is halted; `true` by default */
export function stage(kills = true): Stage {
  const deeds: ReportedDeed[] = []
  const troubles: string[] = []
  /** The worker that dies. */
  let victim: string | undefined
  let heard = 0
  const { promise: begun, resolve: onBegun } = promised<void>()
  const { promise: isReady, resolve: onReady } = promised<void>()
  const { promise: play, resolve: onDone } = promised<Play>()

  function begins(worker: string, deed: Deed): Answer {
    victim ??= worker
    onBegun()
    const isHalted = kills && worker === victim && deeds.filter((it) => it.worker === victim).length >= HALTED_FROM - 1
    deeds.push({ ...deed, worker, isHalted })
    if (deeds.some((it) => it.isHalted) && deeds.some((it) => it.worker !== victim)) onReady()
    return isHalted ? 'halt' : 'go on'
  }

  return {
    async take(report) {
      const { worker } = report
      if (worker === victim) heard++
      if (report.say === 'begins') return begins(worker, report.deed)
      if (report.say === 'ready' && worker !== FIRST) await begun
      if (report.say === 'trouble') troubles.push(report.trouble)
      if (report.say === 'done') onDone({ deeds, troubles, records: recordsIn(report.records) })
      return 'go on'
    },
    isReady,
    play,
    heard: () => heard,
  }
}

function promised<T>(): { readonly promise: Promise<T>; resolve(value: T): void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((it) => (resolve = it))
  return { promise, resolve }
}
