/** The suite must be able to fail: drivers that break one rule each, and are found out. */
import { describe, expect, it } from 'vitest'
import type {
  Answer,
  Check,
  Commit,
  CommitRequest,
  Driver,
  Entry,
  EntryPage,
  FailedCheck,
  Op,
  PartPage,
  EntryRange,
  Read,
} from '../../src/core/driver.ts'
import { lateAt } from '../../src/core/request-records.ts'
import { memory } from '../../src/drivers/memory.ts'
import { cases, type Harness, runCase } from '../../src/testing/index.ts'
import { replay } from '../../src/wrappers/replay.ts'

/** A driver with something replaced. */
const over = (driver: Driver, changes: Partial<Driver>): Driver => ({ ...driver, ...changes })

const mapCommits = (driver: Driver, change: (commit: Commit) => Commit): Driver =>
  over(driver, { commit: ({ commits, ...rest }) => driver.commit({ ...rest, commits: commits.map(change) }) })

const mapOps = (driver: Driver, change: (op: Op, commit: Commit) => Op[]): Driver =>
  mapCommits(driver, (commit) => ({ ...commit, ops: commit.ops.flatMap((op) => change(op, commit)) }))

const mapReads = (driver: Driver, change: (read: Read) => Read): Driver =>
  over(driver, { read: (reads) => driver.read(reads.map(change)) })

const mapAnswers = (driver: Driver, change: (answer: Answer, read: Read) => Answer): Driver =>
  over(driver, {
    async read(reads) {
      const { now, answers } = await driver.read(reads)
      return { now, answers: answers.map((answer, i) => change(answer, reads[i]!)) }
    },
  })

const mapEntries = (driver: Driver, change: (entry: Entry) => Entry): Driver =>
  mapAnswers(driver, (answer) => {
    if (answer === null || 'parts' in answer) return answer
    return 'entries' in answer ? { ...answer, entries: answer.entries.map(change) } : change(answer)
  })

const WINDOW = 60_000
/** The cases of requests that come again. */
const REPEATS = /^DR-8/

/** One that keeps records of requests. */
const recognising = (clock: () => number): Driver => replay(memory({ clock }), { clock, window: WINDOW })

const mapFailed = (driver: Driver, change: (current: FailedCheck['current']) => FailedCheck['current']): Driver =>
  over(driver, {
    async commit(request) {
      const { now, outcomes } = await driver.commit(request)
      const changed = (failed: readonly FailedCheck[]): FailedCheck[] =>
        failed.map(({ check, current }) => ({ check, current: change(current) }))
      return { now, outcomes: outcomes.map((o) => (o.ok ? o : { ok: false, failed: changed(o.failed) })) }
    },
  })

/** The pages of a driver, put together again until they are as long as was asked for. */
async function unbounded(driver: Driver, { range }: { readonly range: EntryRange }): Promise<EntryPage> {
  const entries: Entry[] = []
  for (let rest = range; ;) {
    const page = (await driver.read([{ range: rest }])).answers[0] as EntryPage
    entries.push(...page.entries)
    if (!page.more || entries.length === range.limit) return { entries, more: page.more }
    const { key } = entries.at(-1)!
    const bound = range.reverse ? { end: key } : { start: `${key} ` }
    rest = { ...rest, ...bound, limit: range.limit - entries.length }
  }
}

const isRange = (op: Op): boolean => 'deleteRange' in op || 'deletePart' in op

/** Every commit as two: its ops, then its checks. */
const split = ({ id, commits }: CommitRequest): CommitRequest => ({
  id,
  commits: commits.flatMap((commit) => [
    { ...commit, checks: [] },
    { ...commit, ops: [] },
  ]),
})

const lower = (read: Read): Read => ('get' in read ? { get: { ...read.get, key: read.get.key.toLowerCase() } } : read)
const lowerCheck = (c: Check): Check => ('at' in c ? { ...c, at: { ...c.at, key: c.at.key.toLowerCase() } } : c)
const lowerOp = (o: Op): Op => ('put' in o ? { ...o, put: { ...o.put, key: o.put.key.toLowerCase() } } : o)

/** Each breaks one rule; the clock it gets is the one the cases move. */
const MUTANTS: Record<string, (clock: () => number) => Driver> = {
  'ignores checks': (clock) => mapCommits(memory({ clock }), (commit) => ({ ...commit, checks: [] })),

  'ignores checks of logs': (clock) =>
    mapCommits(memory({ clock }), (commit) => ({ ...commit, checks: commit.checks.filter((check) => 'at' in check) })),

  'reports only the first failed check': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const { now, outcomes } = await driver.commit(request)
        return { now, outcomes: outcomes.map((o) => (o.ok ? o : { ok: false, failed: o.failed.slice(0, 1) })) }
      },
    })
  },

  'applies ops before checks': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const { now, outcomes } = await driver.commit(split(request))
        return {
          now,
          outcomes: request.commits.map((_, i) => (outcomes[2 * i + 1]!.ok ? outcomes[2 * i]! : outcomes[2 * i + 1]!)),
        }
      },
    })
  },

  'leaves the puts of a failed commit': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const answer = await driver.commit(request)
        const torn = request.commits.filter((_, i) => !answer.outcomes[i]!.ok)
        const puts = torn.map((c) => ({ ...c, checks: [], ops: c.ops.filter((op) => 'put' in op) }))
        await driver.commit({ id: `${request.id} torn`, commits: puts })
        return answer
      },
    })
  },

  'commits one by one, with gaps between': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const outcomes = []
        let now = clock()
        for (const commit of request.commits) {
          const answer = await driver.commit({ id: `${request.id} ${commit.id}`, commits: [commit] })
          now = answer.now
          outcomes.push(...answer.outcomes)
          await new Promise((resolve) => setTimeout(resolve, 0))
        }
        return { now, outcomes }
      },
    })
  },

  'checks before it waits, and writes after': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const dry = request.commits.map((commit) => ({ ...commit, ops: [] }))
        const { now, outcomes } = await driver.commit({ id: `${request.id} dry`, commits: dry })
        if (request.commits.length > 1) return driver.commit(request)
        if (!outcomes[0]?.ok) return { now, outcomes }
        await new Promise((resolve) => setTimeout(resolve, 0))
        return driver.commit({ ...request, commits: request.commits.map((commit) => ({ ...commit, checks: [] })) })
      },
    })
  },

  'fails the neighbours of a failing commit': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const dry = await driver.commit({
          id: `${request.id} dry`,
          commits: request.commits.map((c) => ({ ...c, ops: [] })),
        })
        const failed = dry.outcomes.find((outcome) => !outcome.ok)
        return failed ? { now: dry.now, outcomes: request.commits.map(() => failed) } : driver.commit(request)
      },
    })
  },

  'shows expired entries': (clock) => {
    const driver = mapOps(memory({ clock }), (op) => ('put' in op ? [{ put: op.put, value: op.value }] : [op]))
    return driver
  },

  'expires by the second': (clock) =>
    mapEntries(memory({ clock }), (entry) =>
      entry.expiresAt === null ? entry : { ...entry, expiresAt: Math.ceil(entry.expiresAt / 1000) * 1000 },
    ),

  'keeps the expiry of an overwritten entry': (clock) => {
    const driver = memory({ clock })
    const expiries = new Map<string, Op>()
    return mapOps(driver, (op) => {
      if (!('put' in op)) return [op]
      const name = `${op.put.part}\n${op.put.key}`
      const old = expiries.get(name)
      if (op.expires) expiries.set(name, op)
      return [old && 'expires' in old && old.expires && !op.expires ? { ...op, expires: old.expires } : op]
    })
  },

  'says there is never more': (clock) =>
    mapAnswers(memory({ clock }), (answer) =>
      answer !== null && 'more' in answer ? { ...answer, more: false } : answer,
    ),

  'says there is more when the page is full': (clock) =>
    mapAnswers(memory({ clock }), (answer, read) =>
      answer !== null && 'entries' in answer && 'range' in read
        ? { ...answer, more: answer.entries.length === read.range.limit }
        : answer,
    ),

  'counts expired entries toward the limit': (clock) => {
    const driver = memory({ clock })
    const hidden = new Set<string>()
    const dated = mapOps(driver, (op) => {
      if (!('put' in op)) return [op]
      const past = op.expires !== undefined && 'at' in op.expires && op.expires.at <= clock()
      hidden[past ? 'add' : 'delete'](op.put.key)
      return [past ? { put: op.put, value: op.value } : op]
    })
    return mapAnswers(dated, (answer) => {
      if (answer === null || 'parts' in answer) return answer
      if (!('entries' in answer)) return hidden.has(answer.key) ? null : answer
      return { ...answer, entries: answer.entries.filter((entry) => !hidden.has(entry.key)) } satisfies EntryPage
    })
  },

  'ignores reverse': (clock) =>
    mapReads(memory({ clock }), (read) => ('range' in read ? { range: { ...read.range, reverse: false } } : read)),

  'ignores keysOnly': (clock) =>
    mapReads(memory({ clock }), (read) => ('range' in read ? { range: { ...read.range, keysOnly: false } } : read)),

  'includes the end of a range': (clock) =>
    mapReads(memory({ clock }), (read) =>
      'range' in read ? { range: { ...read.range, end: `${read.range.end} ` } } : read,
    ),

  'lets ranges leave their part': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async read(reads) {
        const { now, answers } = await driver.read(reads)
        const more = await driver.read([{ parts: { start: ' ', end: '~~', limit: 1000 } }])
        const names = (more.answers[0] as PartPage).parts
        return {
          now,
          answers: await Promise.all(
            answers.map(async (answer, i) => {
              const read = reads[i]!
              if (!('range' in read)) return answer
              const page = answer as EntryPage
              const next = names.find((name) => name > read.range.part)
              if (page.more || page.entries.length === read.range.limit || next === undefined) return page
              const rest = await driver.read([
                { range: { ...read.range, part: next, limit: read.range.limit - page.entries.length } },
              ])
              return { entries: [...page.entries, ...(rest.answers[0] as EntryPage).entries], more: false }
            }),
          ),
        }
      },
    })
  },

  'shares byte buffers': (clock) => {
    const kept = new Map<string, Uint8Array>()
    return mapEntries(memory({ clock }), (entry) => {
      if (typeof entry.value === 'string') return entry
      const name = `${entry.key} ${entry.version}`
      if (!kept.has(name)) kept.set(name, entry.value)
      return { ...entry, value: kept.get(name)! }
    })
  },

  'parses text': (clock) =>
    mapEntries(memory({ clock }), (entry) =>
      /^\d+$/.test(entry.value as string) ? { ...entry, value: String(Number(entry.value)) } : entry,
    ),

  'drops a byte order mark': (clock) =>
    mapEntries(memory({ clock }), (entry) =>
      typeof entry.value === 'string' ? { ...entry, value: entry.value.replace(/^\uFEFF/, '') } : entry,
    ),

  'returns bytes as text': (clock) =>
    mapEntries(memory({ clock }), (entry) =>
      typeof entry.value === 'string' ? entry : { ...entry, value: new TextDecoder().decode(entry.value) },
    ),

  'numbers appends with gaps': (clock) => {
    const driver = memory({ clock })
    const twice = mapOps(driver, (op) => ('append' in op ? [op, { append: op.append, value: '' }] : [op]))
    return over(twice, {
      async commit(request) {
        const { now, outcomes } = await twice.commit(request)
        return {
          now,
          outcomes: outcomes.map((o) => (o.ok ? { ok: true, seqs: o.seqs.filter((_, i) => i % 2 === 0) } : o)),
        }
      },
    })
  },

  'does not restart the numbers of a deleted log': (clock) => {
    const driver = memory({ clock })
    return mapOps(driver, (op) =>
      'deletePart' in op ? [{ deleteRange: { part: op.deletePart, start: ' ', end: 'l' } }] : [op],
    )
  },

  'forgets refs': (clock) =>
    mapOps(memory({ clock }), (op) => ('append' in op ? [{ append: op.append, value: op.value }] : [op])),

  'deletes parts that begin with the name': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const { answers } = await driver.read([{ parts: { start: ' ', end: '~~', limit: 10_000 } }])
        const names = (answers[0] as PartPage).parts
        const spread = (op: Op): Op[] =>
          'deletePart' in op ? names.filter((n) => n.startsWith(op.deletePart)).map((n) => ({ deletePart: n })) : [op]
        return mapOps(driver, spread).commit(request)
      },
    })
  },

  'applies bulk deletes where they stand': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      commit: ({ id, commits }) =>
        driver.commit({
          id,
          commits: commits.map((commit) => {
            const first = commit.ops.findIndex(isRange)
            return first <= 0 ? commit : { ...commit, ops: commit.ops.slice(first) }
          }),
        }),
    })
  },

  'has versions of its own': (clock) => {
    let count = 0
    return mapCommits(memory({ clock }), (commit) => ({ ...commit, id: String(++count) }))
  },

  'has versions by content': (clock) =>
    mapEntries(memory({ clock }), (entry) => ({ ...entry, version: `hash of ${String(entry.value)}` })),

  'applies a repeated request twice': (clock) => {
    const driver = memory({ clock })
    return over(driver, { capabilities: { ...driver.capabilities, replayWindow: 60_000 } })
  },

  'tells values of failed checks however many there are': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async commit(request) {
        const { now, outcomes } = await driver.commit(request)
        const told = async (failed: readonly FailedCheck[], { checks }: Commit): Promise<FailedCheck[]> =>
          Promise.all(
            failed.map(async ({ check, current }) => {
              const asked = checks[check]!
              if (!('at' in asked) || current === null) return { check, current }
              return { check, current: (await driver.read([{ get: asked.at }])).answers[0] as Entry }
            }),
          )
        return {
          now,
          outcomes: await Promise.all(
            outcomes.map(async (o, i) =>
              o.ok ? o : { ok: false as const, failed: await told(o.failed, request.commits[i]!) },
            ),
          ),
        }
      },
    })
  },

  'tells no value of a failed check': (clock) =>
    mapFailed(memory({ clock }), (current) => {
      if (current === null || !('version' in current)) return current
      const { value: _, ...without } = current
      return without
    }),

  'answers with pages of any size': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async read(reads) {
        const { now, answers } = await driver.read(reads)
        const whole = reads.map(async (read, i) => ('range' in read ? unbounded(driver, read) : answers[i]!))
        return { now, answers: await Promise.all(whole) }
      },
    })
  },

  'cuts pages to the size of an answer, and does not say so': (clock) =>
    mapAnswers(memory({ clock }), (answer, read) =>
      answer && 'entries' in answer && 'range' in read && answer.entries.length < read.range.limit
        ? { ...answer, more: false }
        : answer,
    ),

  'answers with an empty page where one has no room': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async read(reads) {
        const { now, answers } = await driver.read(reads)
        let left = driver.capabilities.limits.answerBytes
        const cut = answers.map((answer): Answer => {
          if (answer === null || !('entries' in answer)) return answer
          left -= answer.entries.reduce((sum, { value }) => sum + value.length, 0)
          return left < 0 ? { entries: [], more: true } : answer
        })
        return { now, answers: cut }
      },
    })
  },

  'leaves a value out of a get where it has no room': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async read(reads) {
        const { now, answers } = await driver.read(reads)
        let left = driver.capabilities.limits.answerBytes
        const cut = answers.map((answer): Answer => {
          if (answer === null || !('value' in answer)) return answer
          left -= answer.value.length
          return left < 0 ? { ...answer, value: '' } : answer
        })
        return { now, answers: cut }
      },
    })
  },

  'begins again at 1 when a log was trimmed to its end': (clock) =>
    mapOps(memory({ clock }), (op) =>
      'trim' in op
        ? [
            {
              deleteRange: {
                part: op.trim.part,
                start: op.trim.key,
                end: op.trim.key + String(Math.min(op.through, 9e15) + 1).padStart(16, '0'),
              },
            },
          ]
        : [op],
    ),

  'trims beyond the end of a log': (clock) =>
    mapOps(memory({ clock }), (op) =>
      'trim' in op
        ? [op, { put: { part: op.trim.part, key: op.trim.key + '0'.repeat(16) }, value: String(op.through) }]
        : [op],
    ),

  'appends behind what is no number': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      commit: (request) =>
        driver.commit(request).catch(() => ({
          now: clock(),
          outcomes: request.commits.map(({ ops }) => ({
            ok: true,
            seqs: ops.flatMap((op) => ('append' in op ? [1] : [])),
          })),
        })),
    })
  },

  'promises a network, and recognises no repeats': (clock) => {
    const driver = memory({ clock })
    return over(driver, { capabilities: { ...driver.capabilities, network: true } })
  },

  'reads its questions one after the other': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      async read(reads) {
        const answers: Answer[] = []
        let { now } = await driver.read([])
        for (const read of reads) {
          await new Promise((resolve) => setTimeout(resolve, 0))
          const one = await driver.read([read])
          now = one.now
          answers.push(...one.answers)
        }
        return { now, answers }
      },
    })
  },

  'folds case': (clock) => {
    const driver = mapCommits(memory({ clock }), (c) => ({
      ...c,
      checks: c.checks.map(lowerCheck),
      ops: c.ops.map(lowerOp),
    }))
    return mapReads(driver, lower)
  },

  'trims keys': (clock) =>
    mapOps(memory({ clock }), (op) =>
      'put' in op ? [{ ...op, put: { ...op.put, key: op.put.key.trim() || '_' } }] : [op],
    ),

  'announces nothing': (clock) => over(memory({ clock }), { watch: () => () => {} }),

  'goes on telling who has stopped': (clock) => {
    const driver = memory({ clock })
    return over(driver, {
      watch(listener) {
        driver.watch!(listener)
        return () => {}
      },
    })
  },

  'announces what it has refused': (clock) => {
    const driver = memory({ clock })
    const listeners = new Set<(parts: readonly string[]) => void>()
    return over(driver, {
      async commit(request) {
        const answer = await driver.commit(request)
        const puts = request.commits.flatMap(({ ops }) => ops.flatMap((op) => ('put' in op ? [op.put.part] : [])))
        for (const listener of listeners) listener(puts)
        return answer
      },
      watch(listener) {
        const stop = driver.watch!(listener)
        listeners.add(listener)
        return () => {
          stop()
          listeners.delete(listener)
        }
      },
    })
  },

  'answers with seconds': (clock) => memory({ clock: () => Math.floor(clock() / 1000) }),

  'keeps something of a deleted part': (clock) =>
    mapOps(memory({ clock }), (op) =>
      'deletePart' in op ? [op, { put: { part: 'trash', key: op.deletePart.slice(0, 100) }, value: '' }] : [op],
    ),
}

/** The same of drivers that keep records of requests. */
const FORGETFUL: Record<string, (driver: Driver, clock: () => number) => Driver> = {
  'forgets requests of which nothing took effect': (driver) => {
    let n = 0
    return over(driver, {
      async commit(request) {
        // Judged without a trace first, as if nothing were kept of a refusal.
        const dry = {
          ...request,
          id: `${request.id} dry ${++n}`,
          commits: request.commits.map((c) => ({ ...c, ops: [] })),
        }
        const answer = await driver.commit(dry)
        return answer.outcomes.every((outcome) => !outcome.ok) ? answer : driver.commit(request)
      },
    })
  },

  'ignores deadlines': (driver) => {
    return over(driver, { commit: ({ id, commits }) => driver.commit({ id, commits }) })
  },

  'executes what comes after its window': (driver) => {
    return over(driver, {
      commit: (request) =>
        driver.commit(request).catch((error: unknown) => {
          const now = lateAt(error)
          // Too far ahead is still refused.
          if (now === undefined || (request.deadline !== undefined && request.deadline >= now)) throw error
          return driver.commit({ id: `${request.id} late`, commits: request.commits })
        }),
    })
  },

  'takes deadlines as far ahead as they come': (driver, clock) => {
    return over(driver, {
      commit: ({ deadline, ...request }) =>
        driver.commit({
          ...request,
          ...(deadline !== undefined && { deadline: Math.min(deadline, clock() + WINDOW) }),
        }),
    })
  },

  'takes any request under a known id for a repeat': (driver) => {
    const first = new Map<string, CommitRequest>()
    return over(driver, {
      commit(request) {
        if (!first.has(request.id)) first.set(request.id, structuredClone(request))
        return driver.commit(first.get(request.id)!)
      },
    })
  },

  'leaves values out of what a request id stands for': (driver) => {
    const first = new Map<string, CommitRequest>()
    const withoutValues = (request: CommitRequest): string =>
      JSON.stringify(request, (name, it: unknown) => (name === 'value' ? '' : it))
    return over(driver, {
      commit(request) {
        const known = first.get(request.id)
        if (known && withoutValues(known) === withoutValues(request)) return driver.commit(known)
        if (!known) first.set(request.id, structuredClone(request))
        return driver.commit(request)
      },
    })
  },
}

const harnessOf = (name: string, make: (clock: () => number) => Driver): Harness => ({
  name,
  async create() {
    let time = Date.UTC(2026, 0, 1)
    return { driver: make(() => time), advance: (ms) => void (time += ms) }
  },
})

const AT_ONCE = 8

/** The ids of the driver's cases that fail, a case that never ends among them. */
async function failures(harness: Harness, ids = /^DR/): Promise<string[]> {
  const failed: string[] = []
  const drivers = cases.filter(({ id }) => ids.test(id))
  const run = async (c: (typeof cases)[number]): Promise<void> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => void (timer = setTimeout(() => reject(new Error('late')), 4000)))
    await Promise.race([runCase(c, harness), late]).catch(() => failed.push(c.id))
    clearTimeout(timer)
  }
  // A few at once: a case that is late has to be late by itself.
  const next = drivers.values()
  const runAll = async (): Promise<void> => {
    for (const c of next) await run(c)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runAll))
  return failed
}

describe('the cases', () => {
  it('let a driver pass that breaks nothing', async () => {
    expect(await failures(harnessOf('memory', (clock) => memory({ clock })))).toEqual([])
    expect(await failures(harnessOf('recognising', recognising))).toEqual([])
  })

  for (const [name, make] of Object.entries(MUTANTS)) {
    it(`find out a driver that ${name}`, async () => {
      const failed = await failures(harnessOf(name, make))
      expect(failed).not.toEqual([])
      // One rule, not the end of everything: other cases can still tell what works.
      expect(failed.length).toBeLessThan(cases.length / 2)
    })
  }

  for (const [name, change] of Object.entries(FORGETFUL)) {
    it(`find out a driver that ${name}`, async () => {
      const harness = harnessOf(name, (clock) => change(recognising(clock), clock))
      expect(await failures(harness, REPEATS)).not.toEqual([])
    })
  }
})
