/** What one answer cannot hold, asked for in several. @module */
import type {
  Answer,
  Entry,
  EntryPage,
  FailedCheck,
  Key,
  Outcome,
  PartPage,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { type CommitRows, readAnswers } from './answers.ts'
import type { Row } from './handle.ts'
import { encodeRead, encodeReads } from './requests.ts'

/** Sends questions, encoded, to `holdfast_read`, and resolves with its rows. */
export type Ask = (questions: string) => Promise<readonly Row[]>

/** How often an answer in several pieces is begun again because something changed in between. */
const MOST_RESTARTS = 8

/**
 * Asks in as many requests as the size of the answers wants. What was answered before is asked for again without its
 * values, so that all answers are those of the last moment; where something has changed, all of it begins again.
 *
 * @throws `PAYLOAD_TOO_LARGE` where the questions leave no room for another answer; `UNAVAILABLE` where what they ask
 *   for changes faster than it can be read
 */
export async function readAll(reads: readonly Read[], ask: Ask): Promise<ReadAnswer> {
  let answers: Answer[] = []
  for (let restarts = 0; restarts < MOST_RESTARTS;) {
    const before = answers
    const asked = reads.map((read, i) => (i < before.length ? again(read, before[i]!) : read))
    const rows = await ask(encodeReads(asked.map((read, i) => encodeRead(read, i < before.length))))
    const found = readAnswers(asked, rows)
    if (found.answers.length <= before.length && before.length < reads.length) throw tooMuch()
    if (before.every((answer, i) => isSame(answer, found.answers[i]!))) {
      answers = [...before, ...found.answers.slice(before.length)]
      if (answers.length === reads.length) return { now: found.now, answers }
    } else {
      answers = []
      restarts++
    }
  }
  throw new HoldfastError('UNAVAILABLE', 'The entries change faster than they can be read; ask for less at once', {
    retryable: true,
  })
}

/**
 * The outcomes with what their answer left out. It is read behind the commit: an entry that is another one by then is
 * shown as it is.
 *
 * @param keyOf - the entry that a check of a commit, both by their index, looks at
 */
export async function completed(
  { outcomes, incomplete }: CommitRows,
  keyOf: (commit: number, check: number) => Key,
  ask: Ask,
): Promise<readonly Outcome[]> {
  const completed = outcomes.map((outcome) => (outcome.ok ? outcome : { ...outcome, failed: [...outcome.failed] }))
  const failedOf = (commit: number): FailedCheck[] => {
    const outcome = completed[commit]!
    return outcome.ok ? [] : outcome.failed
  }
  const questions = incomplete.map(({ commit, failed }) => ({ get: keyOf(commit, failedOf(commit)[failed]!.check) }))
  for (let from = 0; from < questions.length;) {
    const rest = questions.slice(from)
    const rows = await ask(encodeReads(rest.map((read) => encodeRead(read))))
    for (const answer of readAnswers(rest, rows).answers) {
      const { commit, failed } = incomplete[from++]!
      failedOf(commit)[failed] = { check: failedOf(commit)[failed]!.check, current: answer as Entry | null }
    }
  }
  return completed
}

/** The same question, for as much of its answer as there was. */
const again = (read: Read, answer: Answer): Read =>
  'range' in read
    ? { range: { ...read.range, limit: Math.max(1, (answer as EntryPage).entries.length) } }
    : 'parts' in read
      ? { parts: { ...read.parts, limit: Math.max(1, (answer as PartPage).parts.length) } }
      : read

function isSame(before: Answer, now: Answer): boolean {
  if (before === null || now === null) return before === now
  if ('parts' in before) return 'parts' in now && before.parts.join() === now.parts.join() && before.more === now.more
  if ('entries' in before) {
    return 'entries' in now && before.more === now.more && versions(before.entries) === versions(now.entries)
  }
  return 'version' in now && before.version === now.version
}

const versions = (entries: readonly Entry[]): string =>
  entries.map(({ key, version }) => `${key}\n${version}`).join('\n')

const tooMuch = (): HoldfastError =>
  new HoldfastError('PAYLOAD_TOO_LARGE', 'The answers are too large for one view of all of them; ask for less at once')
