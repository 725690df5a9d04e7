/** What the suite has to find out of drivers whose rules are triggers: each breaks one of them. */
import { createClient } from '@libsql/client'
import { describe, expect, it } from 'vitest'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'
import { type Harness, cases, runCase } from '../../../src/testing/index.ts'

type Change = readonly [from: string, to: string]

/** By what is wrong with them: what is changed in the SQL, and the cases that must fail. */
const MUTANTS: Record<string, { changes: readonly Change[]; found: readonly string[] }> = {
  'forgets refusals': {
    changes: [
      [
        `AND begun.item = -3 AND begun.said = 'new';`,
        `AND begun.item = -3 AND begun.said = 'new' AND record.said NOT LIKE '%failed%';`,
      ],
    ],
    found: ['DR-808'],
  },
  'ignores deadlines': {
    changes: [[`NEW.deadline NOT BETWEEN NEW.now AND NEW.now + NEW.replay_window THEN 'late'`, `0 THEN 'late'`]],
    found: ['DR-809', 'DR-810'],
  },
  'takes any content for a repeat': {
    changes: [[`IS NOT NEW.digest THEN 'reused'`, `IS NULL THEN 'reused'`]],
    found: ['DR-812'],
  },
  'executes repeats': {
    changes: [[`WHERE NEW.verdict IS NULL AND NOT EXISTS`, `WHERE NOT EXISTS`]],
    found: ['DR-802'],
  },
  'tells all values of failed checks': {
    changes: [[`<= room.last THEN`, `<= 1e9 THEN`]],
    found: ['DR-1501'],
  },
  'starts trimmed logs anew': {
    changes: [[`= '0000000000000000' THEN e.value`, `= '0000000000000000' THEN '0'`]],
    found: ['DR-1402', 'DR-1407'],
  },
  'appends behind anything': {
    changes: [[`RAISE(ABORT, 'holdfast: the last key under the prefix of a log is no number')`, '0']],
    found: ['DR-1408'],
  },
}

const mutant = (changes: readonly Change[], missed: Set<Change>): Harness => ({
  name: 'mutant',
  async create() {
    const client = createClient({ url: ':memory:' })
    const change = (sql: string): string =>
      changes.reduce((text, it) => {
        if (text.includes(it[0])) missed.delete(it)
        return text.replaceAll(...it)
      }, sql)
    return {
      driver: libsql({
        db: {
          protocol: 'file',
          batch: (statements, mode) =>
            client.batch(
              statements.map(({ sql, args }) => ({ sql: change(sql), args })),
              mode,
            ),
        },
      }),
      dispose: async () => client.close(),
    }
  },
})

describe.each(Object.entries(MUTANTS))('a driver that %s', (_, { changes, found }) => {
  it.each(found)('is found out by %s', async (id) => {
    const missed = new Set(changes)
    const one = cases.find((it) => it.id === id)!
    await expect(runCase(one, mutant(changes, missed))).rejects.toThrow()
    expect(missed.size).toBe(0)
    await runCase(one, mutant([], new Set()))
  })
})
