/** All cases. A new file of cases is one import and one line here. @module */
import type { Case } from './case.ts'
import * as abort from './database/abort.ts'
import * as groupCommit from './database/group-commit.ts'
import * as databaseLifecycle from './database/lifecycle.ts'
import * as databaseLimits from './database/limits.ts'
import * as atomicity from './driver/atomicity.ts'
import * as checks from './driver/checks.ts'
import * as concurrency from './driver/concurrency.ts'
import * as expiry from './driver/expiry.ts'
import * as keys from './driver/keys.ts'
import * as lifecycle from './driver/lifecycle.ts'
import * as limits from './driver/limits.ts'
import * as logs from './driver/logs.ts'
import * as parts from './driver/parts.ts'
import * as ranges from './driver/ranges.ts'
import * as replay from './driver/replay.ts'
import * as values from './driver/values.ts'

/** Every export of such a file is a case. */
type CaseFile = Readonly<Record<string, Case>>

const FILES: readonly CaseFile[] = [
  atomicity,
  checks,
  ranges,
  logs,
  expiry,
  keys,
  values,
  replay,
  parts,
  limits,
  lifecycle,
  concurrency,
  groupCommit,
  abort,
  databaseLifecycle,
  databaseLimits,
]

const numberOf = (it: Case): number => Number(it.id.slice(it.id.indexOf('-') + 1))

/** The cases, file by file, in the order of their ids. */
export const cases: readonly Case[] = FILES.flatMap((file) =>
  Object.values(file).toSorted((a, b) => numberOf(a) - numberOf(b)),
)
