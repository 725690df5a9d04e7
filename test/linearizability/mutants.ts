/** Drivers that look right while nobody else is there. */
import { setTimeout } from 'node:timers/promises'
import type { Answer, CommitRequest, Driver, Outcome, ReadAnswer } from '../../src/core/driver.ts'

/** Leaves others the time to come in between. */
const pause = (): Promise<void> => setTimeout(1)

export const MUTANTS: Record<string, (driver: Driver) => Driver> = {
  'answers reads with what it read some calls ago'(driver) {
    const answers = new Map<string, { readonly answer: ReadAnswer; uses: number }>()
    return {
      ...driver,
      async read(reads) {
        const name = JSON.stringify(reads)
        const kept = answers.get(name)
        if (kept !== undefined && kept.uses++ < 3) return kept.answer
        const answer = await driver.read(reads)
        answers.set(name, { answer, uses: 0 })
        return answer
      },
    }
  },
  'answers a commit before it is there': (driver) => ({
    ...driver,
    async commit(request) {
      const isPlain = request.commits.every(({ checks, ops }) => checks.length === 0 && ops.every((op) => 'put' in op))
      if (!isPlain) return driver.commit(request)
      void pause().then(() => driver.commit(request))
      return { now: Date.now(), outcomes: request.commits.map((): Outcome => ({ ok: true, seqs: [] })) }
    },
  }),
  'checks first and writes later': (driver) => ({
    ...driver,
    async commit(request) {
      const asked = await driver.commit({ ...request, commits: request.commits.map((it) => ({ ...it, ops: [] })) })
      if (asked.outcomes.some((outcome) => !outcome.ok)) return driver.commit(request)
      await pause()
      return driver.commit({ ...request, commits: request.commits.map((it) => ({ ...it, checks: [] })) })
    },
  }),
  'writes the ops of a commit one by one': (driver) => ({
    ...driver,
    async commit(request) {
      const { now, outcomes } = await driver.commit(withOps(request, 0, 1))
      await pause()
      const rest = withOps(request, 1)
      const commits = rest.commits.map((it, i) => ({ ...it, checks: [], ops: outcomes[i]!.ok ? it.ops : [] }))
      const later = await driver.commit({ ...rest, commits })
      return { now, outcomes: outcomes.map((outcome, i) => joined(outcome, later.outcomes[i]!)) }
    },
  }),
  'answers the questions of a read one by one': (driver) => ({
    ...driver,
    async read(reads) {
      const answers: Answer[] = []
      let now = 0
      for (const read of reads) {
        const one = await driver.read([read])
        now = one.now
        answers.push(...one.answers)
        await pause()
      }
      return { now, answers }
    },
  }),
  'tells numbers by the end of the log it knew'(driver) {
    let last = 0
    return {
      ...driver,
      async commit(request) {
        const known = last
        const answer = await driver.commit(request)
        await pause()
        let next = known
        const outcomes = answer.outcomes.map((outcome): Outcome => {
          return outcome.ok ? { ok: true, seqs: outcome.seqs.map(() => ++next) } : outcome
        })
        last = Math.max(last, next)
        return { ...answer, outcomes }
      },
    }
  },
}

const withOps = (request: CommitRequest, start: number, end?: number): CommitRequest => ({
  id: `${request.id}.${start}`,
  commits: request.commits.map((commit) => ({ ...commit, ops: commit.ops.slice(start, end) })),
})

const joined = (first: Outcome, second: Outcome): Outcome =>
  first.ok && second.ok ? { ok: true, seqs: [...first.seqs, ...second.seqs] } : first
