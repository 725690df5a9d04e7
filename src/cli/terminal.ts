/** Output and questions: tables and bars on a terminal, plain lines elsewhere, JSON on request. @module */
import { createInterface } from 'node:readline/promises'
import { SingleBar, Table } from './libraries.ts'
import { encode } from '../core/codec.ts'
import type { Progress } from '../ops/options.ts'
import { EXIT, Failure } from './failures.ts'

/** Options common to all commands. */
export interface CommonOptions {
  readonly store?: string
  readonly tenant?: string
  readonly json?: boolean
  readonly yes?: boolean
}

/** The terminal of the user. */
export interface Terminal {
  /** Prints a result, as JSON or as text. */
  result(value: object, text: () => string): void
  /** Prints rows: one JSON object per line, a table on a terminal, or tab-separated columns elsewhere. */
  rows(head: readonly string[], rows: readonly Readonly<Record<string, unknown>>[]): void
  /** Prints a line unchanged. */
  line(text: string): void
  /** Prints a line to standard error. */
  note(text: string): void
  /**
   * Asks before something is deleted or overwritten.
   *
   * @throws {@link Failure} if the answer is no, or if nobody can be asked
   */
  confirm(question: string): Promise<void>
  /** Shows a progress bar, on a terminal only. */
  progress<T>(label: string, work: (onProgress: (progress: Progress) => void) => Promise<T>): Promise<T>
}

/** A structured value as one line of JSON. Values that JSON lacks are tagged. */
export function jsonOf(value: unknown): string {
  const text = encode([value])
  return String(text).slice(1, -1)
}

/** Text from a store on one line, without control characters that a terminal would obey. */
export const plain = (text: string | number | undefined): string =>
  String(text ?? '').replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ')

const cellOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? plain(value) : '')

/** A time in ISO format. */
export const when = (ms: number): string => new Date(ms).toISOString()

/** The width of a cell's padding, left and right together, and of the line before it. */
const CELL_PADDING = 2
const CELL_LINE = 1

/** The widths of the columns, so that the table fits. The widest columns shrink. */
function widthsWithin(columns: number, rows: readonly (readonly string[])[]): number[] {
  const widths = rows[0]!.map((_, i) => CELL_PADDING + Math.max(...rows.map((row) => row[i]!.length)))
  const total = (): number => CELL_LINE + widths.reduce((sum, width) => sum + width + CELL_LINE, 0)
  while (total() > columns) {
    const widest = Math.max(...widths)
    if (widest <= CELL_PADDING + 1) break
    widths[widths.indexOf(widest)] = widest - 1
  }
  return widths
}

/** Creates the terminal of this process. */
export function terminal({ json = false, yes = false }: CommonOptions): Terminal {
  const { stdin, stdout, stderr } = process
  const line = (text: string): void => void stdout.write(`${text}\n`)
  return {
    line,
    note: (text) => void stderr.write(`${text}\n`),
    result: (value, text) => line(json ? jsonOf(value) : text()),
    rows(head, rows) {
      if (json) {
        for (const row of rows) line(jsonOf(row))
        return
      }
      const cells = rows.map((row) => head.map((name) => cellOf(row[name])))
      if (!stdout.isTTY) {
        for (const row of cells) line(row.join('\t'))
        return
      }
      const table = new Table({
        head: [...head],
        style: { head: [], border: [] },
        colWidths: widthsWithin(stdout.columns, [[...head], ...cells]),
        wordWrap: true,
        wrapOnWordBoundary: false,
      })
      table.push(...cells)
      line(table.toString())
    },
    async confirm(question) {
      if (yes) return
      if (!stdin.isTTY || !stderr.isTTY) {
        throw new Failure(EXIT.declined, `${question} There is no terminal to ask on`, 'Pass --yes to confirm')
      }
      const asking = createInterface({ input: stdin, output: stderr })
      try {
        const answer = await asking.question(`${question} [y/N] `).catch((error: Error) => {
          const isInterrupt = error.message.includes('Ctrl+C')
          stderr.write('\n')
          throw new Failure(isInterrupt ? EXIT.interrupted : EXIT.declined, 'Nothing was done')
        })
        if (!/^y(es)?$/i.test(answer.trim())) throw new Failure(EXIT.declined, 'Nothing was done')
      } finally {
        asking.close()
      }
    },
    async progress(label, work) {
      if (json || !stderr.isTTY) return work(() => {})
      const bar = new SingleBar({
        format: `${label} [{bar}] {value}/{total} {eta_formatted}`,
        stream: stderr,
        hideCursor: true,
        etaBuffer: 100,
      })
      bar.start(0, 0)
      try {
        return await work(({ done, total }) => {
          bar.setTotal(Math.max(total ?? 0, done))
          bar.update(done)
        })
      } finally {
        bar.stop()
      }
    },
  }
}
