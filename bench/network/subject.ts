/** What takes part over a network. */
import type { Holdfast } from 'holdfast'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import type { Call } from '../scenarios/row.ts'
import { type Opened, POWER_LOSS, type Subject } from '../subjects/subject.ts'

/** With what only workflows need, where it has that. */
export interface NetworkOpened extends Opened {
  /** Claims the task of this number for a minute. */
  claim?(n: number): unknown
  /** Saves the state of the run. */
  save?(n: number): unknown
  /** Asks the server for nothing, through the same client: what a round trip takes. */
  ping?(): unknown
}

/** Servers are set to sync every commit. */
export const SURVIVES = { strict: POWER_LOSS } as const

export const claim: Call = (opened, n) => (opened as NetworkOpened).claim!(n)
export const save: Call = (opened, n) => (opened as NetworkOpened).save!(n)
export const ping: Call = (opened) => (opened as NetworkOpened).ping!()

/** The stores, and what a round trip of their client is. */
export interface Connected extends Holdfast {
  ping(): unknown
}

/** Ours, over whatever driver; the place names the database. */
export const ours = (name: string, open: (place: string) => Promise<Connected>): Subject => ({
  name,
  survives: SURVIVES,
  async open(place): Promise<NetworkOpened> {
    const { state, persistence, claims, close, ping } = await open(place)
    await persistence.append({ runId: 'claimed', workflow: 'order', kind: 'started' })
    let version: number | undefined
    return {
      append: (n) => persistence.append({ runId: RUN, workflow: 'order', ...eventOf(n) }),
      set: (n) => state.setJson(nameOf(n), documentOf(n)),
      get: (n) => state.getJson(nameOf(n)),
      load: async () => (await persistence.load(RUN))!.events.length,
      claim: (n) => claims.claimTask({ runId: 'claimed', stepId: String(n), workerId: 'w', ttl: 60_000 }),
      async save(n) {
        const options = version === undefined ? {} : { expectedVersion: version }
        const saved = await state.saveSnapshot(
          { runId: 'saved', workflow: 'order', state: documentOf(n), throughSeq: 0 },
          options,
        )
        version = saved.version
      },
      ping,
      close,
    }
  },
})
