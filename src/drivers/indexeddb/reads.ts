/**
 * Reads. One transaction answers all questions. It is handed over whole, so no other tab waits for code of this page. A
 * second one reads long values, once it is known which of them the answer has room for.
 *
 * @module
 */
import type { Clock } from '../../core/clock.ts'
import type { Answer, Read, ReadAnswer } from '../../core/driver.ts'
import { roomFor } from '../../core/limits.ts'
import { MAX_RESTARTS, tooFast } from '../shared/split-reads.ts'
import type { Opened } from './opened.ts'
import { type Asking, type Row, type StoredValue, type Wanted, askAtOnce, askStepwise, rowsEach } from './rows.ts'
import { ENTRIES, VALUES, begin } from './transactions.ts'

/**
 * Answers questions.
 *
 * @throws `UNAVAILABLE` if long values are replaced faster than they can be read
 */
export async function read(
  reads: readonly Read[],
  opened: Opened,
  clock: Clock,
  answerBytes: number,
): Promise<ReadAnswer> {
  for (let restarts = 0; restarts < MAX_RESTARTS; restarts++) {
    // Read at the first answer: before that, another tab may still have been writing.
    let time: number | undefined
    const wanted: Wanted[] = []
    const how = (): Omit<Asking, 'store'> => ({
      now: () => (time ??= clock()),
      room: roomFor(answerBytes),
      rows: rowsEach(reads),
      canReverse: opened.canReverse,
      want: (value) => wanted.push(value),
    })
    const answers = (await readAtOnce(reads, opened, how())) ?? (await readStepwise(reads, opened, how()))
    if (await fill(wanted, opened)) return { now: time ?? clock(), answers }
  }
  throw tooFast()
}

/** `undefined` if one request per question is not enough. */
async function readAtOnce(
  reads: readonly Read[],
  { db }: Opened,
  asking: Omit<Asking, 'store'>,
): Promise<readonly Answer[] | undefined> {
  const { tx, ask, settled, ended } = begin(db, [ENTRIES], 'readonly')
  const store = ask<Row>(ENTRIES)
  const asked = Promise.all(reads.map((it) => askAtOnce(it, { ...asking, store })))
  tx.commit()
  // Results stay valid however the transaction ends. Without any, its end shows that the connection works.
  const found = await (reads.length > 0 ? settled(asked) : ended(asked))
  if (!found.every((it) => it !== undefined)) return undefined
  return found.map((answer) => answer())
}

/** Holds one transaction until everything is read. Other tabs cannot write meanwhile. */
function readStepwise(
  reads: readonly Read[],
  { db }: Opened,
  asking: Omit<Asking, 'store'>,
): Promise<readonly Answer[]> {
  const { ask, settled } = begin(db, [ENTRIES], 'readonly')
  const store = ask<Row>(ENTRIES)
  async function steps(): Promise<readonly Answer[]> {
    const answers: Answer[] = []
    for (const it of reads) answers.push(await askStepwise(it, { ...asking, store }))
    return answers
  }
  return settled(steps())
}

/** Puts long values into their places. @returns `false` if one of them was replaced meanwhile */
async function fill(wanted: readonly Wanted[], { db, facts }: Opened): Promise<boolean> {
  if (wanted.length === 0) return true
  facts.hasLong = true
  const { tx, ask, settled } = begin(db, [VALUES], 'readonly')
  const store = ask<StoredValue>(VALUES)
  const asked = Promise.all(wanted.map(({ id }) => store.get(id)))
  tx.commit()
  const found = await settled(asked)
  const isSame = wanted.every(({ version }, i) => found[i]?.version === version)
  if (isSame) wanted.forEach(({ fill }, i) => fill(found[i]!.value))
  return isSame
}
