/** Plays a random history to a driver and to the plainest model, and compares every answer and what is left. */
import type { Driver, PartPage, PartRange, Read } from '../../src/core/driver.ts'
import { equal, ok } from '../../src/testing/assert.ts'
import { type Naive, naive } from './naive.ts'
import { copied, plain, scramble } from './plain.ts'
import { START, type Step, toCommits } from './requests.ts'

/** Of what has expired a driver may still know the part, or not. */
function compareParts(answer: PartPage, { start, end, limit }: PartRange, model: Naive, known: PartPage): void {
  const { parts, more } = answer
  equal(parts, [...new Set(parts)].sort())
  for (const part of parts) ok(known.parts.includes(part), `${part} holds nothing`)
  const inside = model.liveParts().filter((part) => part >= start && part < end)
  for (const part of inside) {
    ok(parts.includes(part) || (more && part > parts.at(-1)!), `${part} is missing`)
  }
  ok(parts.length <= limit, `${parts.length} parts are over the limit`)
  ok(!more || parts.length > 0, 'A page that has more is empty')
}

async function compareReads(driver: Driver, model: Naive, reads: readonly Read[], now: number): Promise<void> {
  const answer = await driver.read(copied(reads))
  equal(answer.now, now)
  const expected = model.read(reads)
  equal(answer.answers.length, expected.length)
  reads.forEach((read, i) => {
    if ('parts' in read) {
      const [all] = model.read([{ parts: { ...read.parts, limit: 1000 } }])
      compareParts(answer.answers[i] as PartPage, read.parts, model, all as PartPage)
    } else equal(plain(answer.answers[i]), plain(expected[i]))
  })
  scramble(answer.answers)
}

async function compareContent(driver: Driver, model: Naive, now: number): Promise<void> {
  const everything = { start: ' ', end: '~~', limit: driver.capabilities.limits.rangeEntries }
  const [all] = model.read([{ parts: everything }])
  const ranges = (all as PartPage).parts.map((part): Read => ({ range: { part, ...everything } }))
  await compareReads(driver, model, [{ parts: everything }, ...ranges], now)
}

/** Makes a driver on the data of this history, with this clock. */
export type Make = (clock: () => number) => Driver | Promise<Driver>

/**
 * @param make - called once more at the end where the data outlives the driver
 * @throws where an answer, or what is there at the end, is not the model's
 */
export async function play(make: Make, isFile: boolean, history: readonly Step[]): Promise<void> {
  let now = START
  let ids = 0
  const driver = await make(() => now)
  const model = naive(() => now)
  await driver.open()
  try {
    for (const step of history) {
      if ('advance' in step) now += step.advance
      else if ('read' in step) await compareReads(driver, model, step.read, now)
      else {
        const commits = toCommits(step.commit, model, () => `id${++ids}`)
        const request = copied({ id: `request${ids}`, commits })
        const answer = await driver.commit(request)
        scramble(request)
        equal(plain(answer), plain({ now, outcomes: model.commit(commits) }))
        scramble(answer)
      }
    }
    await compareContent(driver, model, now)
  } finally {
    await driver.close()
  }
  if (!isFile) return
  const again = await make(() => now)
  await again.open()
  try {
    await compareContent(again, model, now)
  } finally {
    await again.close()
  }
}
