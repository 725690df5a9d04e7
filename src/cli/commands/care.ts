/** `purge`, `verify`, `stats`, `doctor`. @module */
import type { Command } from '../libraries.ts'
import { type Finding, health } from '../../ops/health.ts'
import { type PurgeOptions, purge } from '../../ops/purge.ts'
import { stats } from '../../ops/stats.ts'
import { type VerifyReport, verify } from '../../ops/verify.ts'
import type { Completion } from '../../runs/status.ts'
import { count, moment } from '../arguments.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure, endingOf } from '../failures.ts'
import { storeNamed } from '../stores.ts'
import { jsonOf, plain } from '../terminal.ts'

interface PurgeFlags {
  readonly status?: readonly Completion[]
  readonly before?: number
  readonly keepLast?: number
  readonly dryRun?: boolean
}

/** Adds the commands that look after stores. */
export function addCareCommands(program: Command): void {
  program
    .command('purge')
    .description('remove runs that have ended')
    .option('--status <status...>', 'completed, failed, cancelled or compensated; all of these by default')
    .option('--before <when>', 'runs that ended before a date, or a time ago, such as 30d', moment)
    .option('--keep-last <count>', 'all but so many of each status', count)
    .option('--dry-run', 'only count')
    .addHelpText('after', examples('purge --before 30d --dry-run', 'purge --status completed --keep-last 1000 --yes'))
    .action(action(purgeRuns))
  program
    .command('verify')
    .description('look whether what is stored holds together')
    .option('--repair', 'mend indexes')
    .addHelpText('after', examples('verify', 'verify --repair'))
    .action(action(verifyStore))
  program
    .command('stats')
    .description('count what is in the store, or in a --tenant of it')
    .option('--sizes', 'add up sizes, too; reads every value')
    .addHelpText('after', examples('stats', 'stats --sizes --json'))
    .action(action(showStats))
  program
    .command('doctor')
    .description('look whether the store can be used well, and say what to do')
    .addHelpText('after', examples('doctor'))
    .action(action(diagnose))
}

async function purgeRuns({ terminal, store, signal, options }: Context, _: readonly string[], flags: PurgeFlags) {
  const { status, before: completedBefore, keepLast, dryRun = false } = flags
  if ((completedBefore === undefined) === (keepLast === undefined)) {
    throw new Failure(EXIT.usage, 'Either --before or --keep-last must be given', 'See holdfast purge --help')
  }
  const wanted: PurgeOptions = { tenant: options.tenant, status, completedBefore, keepLast, signal }
  const result = await store(async ({ db }) => {
    const counted = await purge(db, { ...wanted, dryRun: true })
    if (dryRun || counted.runs === 0) return { ...counted, dryRun }
    await terminal.confirm(`Remove ${counted.runs} runs?`)
    const removed = await terminal.progress('purge', (report) =>
      purge(db, { ...wanted, onProgress: ({ done }) => report({ done, total: counted.runs }) }),
    )
    return { ...removed, dryRun }
  })
  const { runs, byStatus } = result
  const each = Object.entries(byStatus).map(([name, number]) => ` ${name} ${number}`)
  terminal.result(result, () => `${runs} runs ${dryRun ? 'would be removed' : 'removed'}${each.join(',')}`)
}

async function verifyStore(
  { terminal, store, signal, options }: Context,
  _: readonly string[],
  { repair = false }: { readonly repair?: boolean },
): Promise<number> {
  const onProblem: NonNullable<Parameters<typeof verify>[1]>['onProblem'] = (problem) => {
    const { kind, part, key = '', message, repaired } = problem
    const text = `${kind}${repaired ? ' (repaired)' : ''}: ${plain(part)} ${plain(key)}: ${message}`
    terminal.line(options.json ? jsonOf(problem) : text)
  }
  const { first: _first, ...report }: VerifyReport = await store(({ db }) =>
    terminal.progress('verify', (onProgress) =>
      verify(db, { tenant: options.tenant, repair, signal, onProblem, onProgress }),
    ),
  )
  const { entries, runs, problems, repaired } = report
  terminal.result(report, () => `${entries} entries, ${runs} runs, ${problems} problems, ${repaired} repaired`)
  return problems > repaired ? EXIT.found : EXIT.ok
}

async function showStats(
  { terminal, store, signal, options }: Context,
  _: readonly string[],
  { sizes = false }: { readonly sizes?: boolean },
) {
  const found = await store(({ db }) =>
    terminal.progress('stats', (onProgress) => stats(db, { tenant: options.tenant, sizes, signal, onProgress })),
  )
  if (options.json) terminal.line(jsonOf(found))
  else {
    const rows = Object.entries(found.tenants).map(([tenant, { runs, ...counts }]) => ({
      tenant,
      runs: Object.entries(runs)
        .map(([status, number]) => `${status} ${number}`)
        .join(', '),
      ...counts,
    }))
    terminal.rows(
      ['tenant', 'runs', 'events', 'steps', 'values', 'marks', 'entries', ...(sizes ? ['bytes'] : [])],
      rows,
    )
  }
}

async function diagnose({ terminal, store, signal, options }: Context): Promise<number> {
  const { scheme, rest } = storeNamed(options.store ?? process.env['HOLDFAST_URL'])
  const all: Finding[] = []
  try {
    all.push(...((await scheme.inspect?.(rest)) ?? []))
    // Opening would bring an older schema up to date, which is to be thought about first.
    const isCurrent = all.every(({ what, level }) => what !== 'schema' || level === 'ok')
    if (isCurrent) all.unshift(...(await store(({ db }) => health(db, { signal }), { open: false })).findings)
  } catch (error) {
    const { exit, code, message, advice } = endingOf(error)
    if (error instanceof Failure || exit === EXIT.interrupted) throw error
    all.unshift({ what: 'connection', level: 'failure', found: `${code}: ${message}`, ...(advice && { advice }) })
  }
  terminal.rows(
    ['what', 'level', 'found', 'advice'],
    all.map((finding) => ({ ...finding })),
  )
  return all.some(({ level }) => level === 'failure') ? EXIT.found : EXIT.ok
}
