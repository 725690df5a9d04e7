/** The commands `runs`, `show` and `events`. @module */
import type { Command } from '../libraries.ts'
import { sleep } from '../../core/abort.ts'
import { isSame } from '../../core/objects.ts'
import type { Holdfast } from '../../holdfast.ts'
import type { RunEvent } from '../../runs/events.ts'
import { type RunStatus, WORK, isTerminal } from '../../runs/status.ts'
import type { StepRecord } from '../../runs/step-record.ts'
import type { Run } from '../../stores/workflows/start.ts'
import { count, duration } from '../arguments.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure } from '../failures.ts'
import { jsonOf, plain, when } from '../terminal.ts'

interface RunsOptions {
  readonly status?: RunStatus
  readonly workflow?: string
  readonly tag?: string
  readonly aside?: boolean
  readonly limit: number
}

interface EventsOptions {
  readonly follow?: boolean
  readonly after: number
  readonly interval: number
}

/** Adds the commands that show runs. */
export function addRunCommands(program: Command): void {
  program
    .command('runs')
    .description('list runs')
    .option('--status <status>', 'only runs with this status, in the order in which they reached it')
    .option('--workflow <name>', 'only runs of this workflow')
    .option('--tag <tag>', 'only runs with this tag')
    .option('--aside', 'only runs that were put aside because they cannot go on, with the reason')
    .option('--limit <count>', 'the most runs to show', count, 100)
    .addHelpText('after', examples('runs --status failed', 'runs --workflow order --json | jq .runId'))
    .action(action(listRuns))
  program
    .command('show')
    .argument('<run>', 'the id of the run')
    .description('show a run with its timeline')
    .option('--payloads', 'also show the payloads of events and the results of steps')
    .addHelpText('after', examples('show order-17', 'show order-17 --payloads --json'))
    .action(action(showRun))
  program
    .command('events')
    .argument('<run>', 'the id of the run')
    .description("print a run's events, one per line")
    .option('-f, --follow', 'wait for new events until the run has ended')
    .option('--after <seq>', 'only events after this seq', count, 0)
    .option('--interval <time>', 'how often to look for new events', duration, 500)
    .addHelpText('after', examples('events order-17 --follow', 'events order-17 --after 10 --json'))
    .action(action(printEvents))
}

async function listRuns(
  { terminal, store, signal }: Context,
  _: readonly string[],
  options: RunsOptions,
): Promise<void> {
  const { limit, status, aside = false, workflow, tag } = options
  const rows: Record<string, unknown>[] = []
  await store(async ({ workflows }) => {
    if (limit === 0) return
    for await (const run of workflows.runs({ status, aside, workflow, tag, signal })) {
      const { since, createdAt } = run
      rows.push({ ...run, ...(aside && { reason: run.aside?.reason }), since: when(since), createdAt: when(createdAt) })
      if (rows.length === limit) return
    }
  })
  terminal.rows(['runId', 'workflow', 'status', 'since', aside ? 'reason' : 'createdAt'], rows)
}

/** Reads a run. @throws {@link Failure} if it does not exist */
export async function runOf({ workflows }: Holdfast, runId: string, { signal }: Context): Promise<Run> {
  const run = await workflows.getRun(runId, { signal })
  if (run) return run
  throw new Failure(EXIT.notFound, `The run ${plain(runId)} does not exist`, 'List the runs: holdfast runs')
}

async function showRun(
  context: Context,
  [runId]: readonly string[],
  { payloads = false }: { readonly payloads?: boolean },
): Promise<void> {
  const { terminal, store, signal, options } = context
  await store(async (holdfast) => {
    const { input, context: shared, definition, ...run } = await runOf(holdfast, runId!, context)
    const steps: StepRecord[] = []
    for await (const { result, ...step } of holdfast.workflows.steps(runId!, { signal })) {
      steps.push(payloads ? { ...step, result } : step)
    }
    const claim = await holdfast.claims.getClaim(runId!, { signal })
    const values = payloads ? { input, context: shared, definition } : {}
    if (options.json) {
      const events: object[] = []
      for await (const event of holdfast.persistence.events(runId!, { signal })) events.push(shown(event, payloads))
      terminal.line(jsonOf({ ...run, ...values, claim, steps, events }))
      return
    }
    const { workflow = '', status, createdAt, since, generation, tags, error, signals, position } = run
    terminal.line(`${plain(runId)}  ${plain(workflow)}  ${status} since ${when(since)}`)
    terminal.line(
      `created ${when(createdAt)}, generation ${generation}${tags.map((tag) => `, ${plain(tag)}`).join('')}`,
    )
    if (position && !isSame(position, WORK)) terminal.line(`at ${position.kind} ${plain(position.stepId)}`)
    if (error !== undefined) terminal.line(`error: ${plain(error)}`)
    for (const [kind, asked] of Object.entries(signals ?? {})) {
      terminal.line(`${kind} requested at ${when(asked.requestedAt)} ${plain(asked.reason)}`)
    }
    if (claim) terminal.line(`claimed by ${plain(claim.workerId)} since ${when(claim.claimedAt)}`)
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) terminal.line(`${name}: ${plain(jsonOf(value))}`)
    }
    for (const step of steps) terminal.line(lineOf(step))
    let before = createdAt
    for await (const event of holdfast.persistence.events(runId!, { signal })) {
      terminal.line(timelineOf(event, before, payloads))
      before = event.at
    }
  })
}

const shown = ({ payload, ...event }: RunEvent, payloads: boolean): object => (payloads ? { ...event, payload } : event)

/** One line about a step: its status, its id, how it went, and its result if that is given. */
function lineOf({ stepId, status, attempts = 1, startedAt, completedAt, error, result }: StepRecord): string {
  const took = startedAt !== undefined && completedAt !== undefined ? `  ${(completedAt - startedAt) / 1000} s` : ''
  const tries = attempts > 1 ? `  ${attempts} attempts` : ''
  const why = error === undefined ? '' : `  ${plain(error)}`
  const value = result === undefined ? '' : `  ${plain(jsonOf(result))}`
  return `step ${status.padEnd(9)}  ${plain(stepId)}${took}${tries}${why}${value}`
}

/** One line of a timeline: the time, the time since the previous event, and the event. */
function timelineOf({ seq, at, kind, stepId, payload }: RunEvent, before: number, payloads: boolean): string {
  const after = `+${((at - before) / 1000).toFixed(3)}s`
  const value = payloads && payload !== undefined ? `  ${plain(jsonOf(payload))}` : ''
  return `${String(seq).padStart(6)}  ${when(at)} ${after.padStart(12)}  ${plain(kind)}  ${plain(stepId)}${value}`.trimEnd()
}

async function printEvents(context: Context, [runId]: readonly string[], options: EventsOptions): Promise<void> {
  const { terminal, store, signal } = context
  let { after } = options
  await store(async (holdfast) => {
    let before = (await runOf(holdfast, runId!, context)).createdAt
    for (;;) {
      // Read before the events: if the run has ended by now, the log is complete.
      const run = await holdfast.workflows.getRun(runId!, { signal })
      for await (const event of holdfast.persistence.events(runId!, { after, signal })) {
        terminal.line(context.options.json ? jsonOf(event) : timelineOf(event, before, true))
        after = event.seq
        before = event.at
      }
      if (!options.follow || !run || isTerminal(run.status)) return
      await sleep(options.interval, signal)
    }
  })
}
