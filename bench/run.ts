/**
 * The benchmarks: holdfast, the raw client and its peers side by side, in one run.
 *
 *     npm run bench -- [--json] [--quick] [--only TEXT]…
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { DOCUMENT_BYTES, PAYLOAD_BYTES } from './data.ts'
import { machineAt } from './machine.ts'
import { isAmong } from './options.ts'
import { type Report, progress, render } from './report.ts'
import { countBytes, countCalls } from './scenarios/counts.ts'
import { encodeDocuments } from './scenarios/encoding.ts'
import { appendToLongLog, buildLongLog, readLongLog } from './scenarios/long-log.ts'
import { type Row, runRow } from './scenarios/row.ts'
import { ROWS, SUBJECTS } from './scenarios/rows.ts'
import { measureWork } from './scenarios/work.ts'
import { judge } from './targets.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
})
const { json, quick, only } = values
const race = quick ? { rounds: 3, roundMs: 60 } : { rounds: 9, roundMs: 200 }
const longEvents = quick ? 100_000 : 1_000_000
const isWanted = (name: string): boolean => isAmong(only, name)

const root = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
const cleanUp = (): void => rmSync(root, { recursive: true, force: true })
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cleanUp()
    process.exit(1)
  })
}
let made = 0
const directory = (name: string): string => {
  const path = join(root, `${made++}-${name.replaceAll(/\W+/g, '-')}`)
  mkdirSync(path)
  return path
}

function machine(): Report['machine'] {
  const db = new Database(':memory:')
  const sqlite = db.prepare('SELECT sqlite_version()').pluck().get() as string
  db.close()
  return { node: process.versions.node, sqlite, ...machineAt(root) }
}

const here = machine()
const APPEND_LONG = 'append to a long log'
const READ_LONG = 'read a long log'
const CALLS = 'count per call'
const BYTES = 'count bytes'
const ENCODE = 'encode 1 kB'
const WORK = 'work'
const wantedRows = ROWS.filter((row) => isWanted(row.name))
const others = [APPEND_LONG, READ_LONG, CALLS, BYTES, ENCODE, WORK].filter(isWanted)

if (wantedRows.length + others.length === 0) {
  console.error(`bench: nothing is called ${only.join(' or ')}`)
  cleanUp()
  process.exit(2)
}

const rows: Row[] = []
const found: { -readonly [Name in 'encoding' | 'longLog' | 'reading' | 'calls' | 'bytes' | 'work']?: Report[Name] } = {}
const needsLong = others.includes(APPEND_LONG) || others.includes(READ_LONG)
const bar = progress(wantedRows.length + others.length + Number(needsLong))
try {
  for (const row of wantedRows) {
    bar.begin(row.name)
    rows.push(...(await runRow(row, SUBJECTS, race, directory)))
  }
  if (others.includes(ENCODE)) {
    bar.begin(ENCODE)
    found.encoding = await encodeDocuments(race)
  }
  if (others.includes(WORK)) {
    bar.begin(WORK)
    found.work = await measureWork(directory('work'), quick, race)
  }
  if (needsLong) {
    const home = directory('long')
    bar.begin(`make a log of ${longEvents} events`)
    const buildMs = await buildLongLog(home, longEvents)
    if (others.includes(READ_LONG)) {
      bar.begin(READ_LONG)
      found.reading = await readLongLog(home)
    }
    if (others.includes(APPEND_LONG)) {
      bar.begin(APPEND_LONG)
      found.longLog = await appendToLongLog(home, longEvents, buildMs, race)
    }
  }
  if (others.includes(CALLS)) {
    bar.begin(CALLS)
    found.calls = await countCalls(directory('calls'))
  }
  if (others.includes(BYTES)) {
    bar.begin(BYTES)
    found.bytes = await countBytes(directory('bytes'))
  }
} finally {
  bar.stop()
  cleanUp()
}

const measured = {
  machine: here,
  settings: { ...race, longLog: longEvents, payloadBytes: PAYLOAD_BYTES, documentBytes: DOCUMENT_BYTES },
  rows,
  ...found,
}
const report: Report = { ...measured, targets: judge(measured) }
console.log(json ? JSON.stringify(report, null, 2) : render(report))
