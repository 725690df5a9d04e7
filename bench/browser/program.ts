/** The page: runs the rows that its address asks for, and reports them one by one. */
import { QUERY, report } from '../../test/browsers/programs/report.ts'
import { type Row, runRow } from '../scenarios/row.ts'
import { ROWS } from './rows.ts'

const wanted = QUERY.getAll('row')
const race = { rounds: Number(QUERY.get('rounds')), roundMs: Number(QUERY.get('roundMs')) }

/** What the page tells. */
export type BenchReport =
  | { readonly begins: string }
  | { readonly rows: readonly Row[] }
  | { readonly ends: string }
  | { readonly fails: string }

const tell = (it: BenchReport): Promise<unknown> => report(it)
const { navigator } = globalThis as unknown as { navigator: { userAgent: string } }

try {
  for (const row of ROWS.filter(({ name }) => wanted.includes(name))) {
    await tell({ begins: row.name })
    await tell({ rows: await runRow(row, row.subjects, race, (name) => `${row.name}: ${name}`) })
  }
  await tell({ ends: navigator.userAgent })
} catch (error) {
  await tell({ fails: String((error as Error).stack ?? error) })
}
