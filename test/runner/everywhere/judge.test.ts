/** The judge of the runs in all runtimes tells a play in which all went well from others. */
import { describe, expect, test } from 'vitest'
import { calmPlay, expectAsIfNobodyDied } from './judge.ts'
import { FIRST, type Play, SECOND } from './stage.ts'
import type { RunRecord } from './worker.ts'

/** A play in which the first worker died in the first step. */
async function playWithDeath(): Promise<Play> {
  const play = await calmPlay()
  const deeds = play.deeds.map((deed) => ({ ...deed, worker: SECOND }))
  const [first] = deeds
  return { ...play, deeds: [{ ...first!, worker: FIRST, attempt: 0, isHalted: true }, ...deeds] }
}

/** Changes the record of one run, which completed. */
const withRecord = (play: Play, change: (record: RunRecord) => RunRecord): Play => ({
  ...play,
  records: play.records.map((record) => (record.run.runId === 'order 0' ? change(record) : record)),
})

const withEvents = (play: Play, change: (events: RunRecord['recorded']['events']) => RunRecord['recorded']['events']) =>
  withRecord(play, (record) => ({
    ...record,
    recorded: { ...record.recorded, events: change(record.recorded.events) },
  }))

const withDeeds = (play: Play, change: (deeds: Play['deeds']) => Play['deeds']): Play => ({
  ...play,
  deeds: change(play.deeds),
})

const FAULTS: Readonly<Record<string, (play: Play) => Play>> = {
  'nobody died': (play) => withDeeds(play, (deeds) => deeds.slice(1)),
  'a worker was not halted in a step': (play) =>
    withDeeds(play, (deeds) => deeds.map((deed) => ({ ...deed, isHalted: false }))),
  'a step ran after it was recorded': (play) =>
    withDeeds(play, (deeds) => [...deeds, { ...deeds.at(-1)!, attempt: deeds.at(-1)!.attempt + 1 }]),
  'a step ran twice as the same attempt': (play) =>
    withDeeds(play, ([first, ...deeds]) => [{ ...first!, attempt: 1 }, ...deeds]),
  'two steps share a key': (play) => withDeeds(play, (deeds) => deeds.map((deed) => ({ ...deed, key: deeds[0]!.key }))),
  'an attempt has another key': (play) =>
    withDeeds(play, ([first, ...deeds]) => [{ ...first!, key: 'other' }, ...deeds]),
  'a step is recorded twice': (play) =>
    withEvents(play, (events) => [...events, events.find(({ kind }) => kind === 'step.completed')!]),
  'branches have got the results of each other': (play) =>
    withEvents(play, (events) => {
      const packs = events.filter(({ stepId }) => stepId?.startsWith('pack'))
      return events.map((event) =>
        packs.includes(event)
          ? { ...event, payload: packs[(packs.indexOf(event) + 1) % packs.length]!.payload }
          : event,
      )
    }),
  'a step has no row': (play) => withRecord(play, (record) => ({ ...record, steps: record.steps.slice(1) })),
  'a run has another result': (play) =>
    withRecord(play, (record) => ({ ...record, run: { ...record.run, result: undefined } })),
  'a run is open': (play) => withRecord(play, (record) => ({ ...record, run: { ...record.run, status: 'running' } })),
  'a run is missing': (play) => ({ ...play, records: play.records.slice(1) }),
  'a message was sent twice': (play) => withRecord(play, (record) => ({ ...record, received: [true, false] })),
  'a run has another life': (play) =>
    withRecord(play, (record) => ({ ...record, recorded: { ...record.recorded, life: 'other' } })),
  'a worker is in trouble': (play) => ({ ...play, troubles: ['order 0: NON_DETERMINISTIC'] }),
}

describe('the judge of runs', () => {
  test('accepts a play in which one worker died', async () => {
    await expectAsIfNobodyDied(await playWithDeath())
  })

  test.each(Object.entries(FAULTS))('rejects one in which %s', async (_, change) => {
    const play = change(await playWithDeath())
    await expect(expectAsIfNobodyDied(play)).rejects.toMatchObject({ name: 'AssertionError' })
  })
})
