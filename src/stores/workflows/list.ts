/** Lists of runs, by status or all together. @module */
import { type Known, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
import { decode } from '../../core/codec.ts'
import type { InnerDatabase } from '../../core/database.ts'
import { invalid } from '../../core/errors.ts'
import { EVERYTHING, type TenantParts, decodeId, encodeId, encodeNumber, under } from '../../core/keys.ts'
import { type Page, type PageOptions, pageRange, PAGE } from '../../core/pages.ts'
import { ASIDE, type RunSummary } from '../../runs/indexes.ts'
import { type RunStatus, isRunStatus } from '../../runs/status.ts'

/** Options of {@link WorkflowStore.listRuns}. */
export interface ListRunsOptions extends PageOptions {
  /** Only runs with this status, in the order in which they reached it. */
  readonly status?: RunStatus | undefined
  /** Only runs that were put aside because they cannot go on, in that order. They are all `paused`. */
  readonly aside?: boolean | undefined
  readonly workflow?: string | undefined
  readonly tag?: string | undefined
  /** Only runs that reached their status before this time, in milliseconds since 1970. */
  readonly before?: number | undefined
}

/** The options of `WorkflowStore.listRuns`. */
export const LIST_RUNS: Known<ListRunsOptions> = {
  ...PAGE,
  status: true,
  aside: true,
  workflow: true,
  tag: true,
  before: true,
}

/** One page of the runs of a tenant. */
export async function listed(
  db: InnerDatabase,
  parts: TenantParts,
  given: ListRunsOptions | undefined,
): Promise<Page<RunSummary>> {
  const { status, aside = false, workflow, tag, before, ...options } = requireOptions(given, LIST_RUNS)
  if (status !== undefined && !isRunStatus(status)) throw invalid(`status must be a run status, not ${shown(status)}`)
  if (typeof aside !== 'boolean') throw invalid(`aside must be true or false, not ${shown(aside)}`)
  if (aside && status !== undefined && status !== 'paused')
    throw invalid(`status must be paused for runs that were put aside, not ${status}`)
  if (workflow !== undefined) encodeId(workflow, 'workflow')
  if (tag !== undefined) encodeId(tag, 'tag')
  if (before !== undefined) requireInteger(before, 'before')
  const indexed = aside ? ASIDE : status
  const all = indexed === undefined ? EVERYTHING : under(`${indexed}!`)
  // Keys sort by time, so the range ends before the first run that is too new.
  const bounds =
    indexed === undefined || before === undefined ? all : { ...all, end: `${indexed}!${encodeNumber(before)}` }
  const range = pageRange(db, indexed === undefined ? parts.runs : parts.status, bounds, options)
  const [{ entries, more }] = await db.read([{ range }], options)
  const items = entries.map(({ key, value }) => ({
    runId: decodeId(key.slice(key.lastIndexOf('!') + 1)),
    ...(decode(value) as Omit<RunSummary, 'runId'>),
  }))
  const last = entries.at(-1)
  return {
    items: items.filter(
      (it) =>
        (workflow === undefined || it.workflow === workflow) &&
        (tag === undefined || it.tags?.includes(tag) === true) &&
        (before === undefined || it.since < before),
    ),
    ...(more && last && { cursor: last.key }),
  }
}
