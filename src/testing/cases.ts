/** All cases. A new file of cases is one import and one line here. @module */
import type { Case } from './case.ts'
import { ruleCases } from './calls/rules.ts'
import * as claimAnnouncements from './claims/announcements.ts'
import * as claimClaiming from './claims/claiming.ts'
import * as claimDispatch from './claims/dispatch.ts'
import * as claimFencing from './claims/fencing.ts'
import * as claimHints from './claims/hints.ts'
import * as claimLeases from './claims/leases.ts'
import * as claimRefusals from './claims/refusals.ts'
import * as claimRequests from './claims/requests.ts'
import * as abort from './database/abort.ts'
import * as groupCommit from './database/group-commit.ts'
import * as databaseLifecycle from './database/lifecycle.ts'
import * as databaseLimits from './database/limits.ts'
import * as neighbours from './database/neighbours.ts'
import * as order from './database/order.ts'
import * as pressure from './database/pressure.ts'
import * as databaseWatch from './database/watch.ts'
import * as announcements from './driver/announcements.ts'
import * as answers from './driver/answers.ts'
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
import * as trimming from './driver/trimming.ts'
import * as values from './driver/values.ts'
import * as markKeeping from './idempotency/marks.ts'
import * as markLeases from './idempotency/leases.ts'
import * as markPurge from './idempotency/purge.ts'
import * as markRefusals from './idempotency/refusals.ts'
import * as markRequests from './idempotency/requests.ts'
import * as logAppend from './persistence/append.ts'
import * as logCompletion from './persistence/completion.ts'
import * as logConcurrency from './persistence/concurrency.ts'
import * as logInterventions from './persistence/interventions.ts'
import * as logIsolation from './persistence/isolation.ts'
import * as logFollowing from './persistence/follow.ts'
import * as logReading from './persistence/reading.ts'
import * as logRefusals from './persistence/refusals.ts'
import * as logRepeats from './persistence/repeats.ts'
import * as logRequests from './persistence/requests.ts'
import * as logResume from './persistence/resume.ts'
import * as signalApplying from './signals/applying.ts'
import * as signalCosts from './signals/costs.ts'
import * as signalFence from './signals/fence.ts'
import * as signalMessages from './signals/messages.ts'
import * as signalParked from './signals/parked.ts'
import * as signalRaces from './signals/races.ts'
import * as signalRefusals from './signals/refusals.ts'
import * as signalStoring from './signals/storing.ts'
import * as signalTimers from './signals/timers.ts'
import * as stateAtomic from './state/atomic.ts'
import * as stateJson from './state/json.ts'
import * as stateKeys from './state/keys.ts'
import * as stateRefusals from './state/refusals.ts'
import * as stateRequests from './state/requests.ts'
import * as stateSnapshots from './state/snapshots.ts'
import * as stateTtl from './state/ttl.ts'
import * as stateValues from './state/values.ts'
import * as stateWatch from './state/watch.ts'
import * as workflowStarting from './workflows/starting.ts'
import * as workflowUpdating from './workflows/updating.ts'
import * as workflowContext from './workflows/context.ts'
import * as workflowListing from './workflows/listing.ts'
import * as workflowDeleting from './workflows/deleting.ts'
import * as workflowSteps from './workflows/steps.ts'
import * as workflowResults from './workflows/results.ts'
import * as workflowWaits from './workflows/waits.ts'
import * as workflowSeveral from './workflows/several.ts'
import * as workflowRefusals from './workflows/refusals.ts'
import * as workflowFence from './workflows/fence.ts'
import * as workflowRequests from './workflows/requests.ts'
import * as workflowIsolation from './workflows/isolation.ts'

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
  answers,
  trimming,
  lifecycle,
  concurrency,
  announcements,
  groupCommit,
  abort,
  databaseLifecycle,
  databaseLimits,
  order,
  neighbours,
  pressure,
  databaseWatch,
  stateValues,
  stateJson,
  stateTtl,
  stateAtomic,
  stateKeys,
  stateSnapshots,
  stateRefusals,
  stateRequests,
  stateWatch,
  logAppend,
  logRepeats,
  logCompletion,
  logResume,
  logInterventions,
  logReading,
  logFollowing,
  logIsolation,
  logRefusals,
  logRequests,
  logConcurrency,
  markKeeping,
  markLeases,
  markPurge,
  markRefusals,
  markRequests,
  claimClaiming,
  claimLeases,
  claimDispatch,
  claimHints,
  claimAnnouncements,
  claimFencing,
  claimRefusals,
  claimRequests,
  signalStoring,
  signalApplying,
  signalMessages,
  signalParked,
  signalTimers,
  signalFence,
  signalRefusals,
  signalCosts,
  signalRaces,
  workflowStarting,
  workflowUpdating,
  workflowContext,
  workflowListing,
  workflowDeleting,
  workflowSteps,
  workflowResults,
  workflowWaits,
  workflowSeveral,
  workflowRefusals,
  workflowFence,
  workflowRequests,
  workflowIsolation,
  ruleCases,
]

const numberOf = (it: Case): number => Number(it.id.slice(it.id.indexOf('-') + 1))

/** The cases, file by file, in the order of their ids. */
export const cases: readonly Case[] = FILES.flatMap((file) =>
  Object.values(file).toSorted((a, b) => numberOf(a) - numberOf(b)),
)
