/** The commands `purge`, `verify`, `stats` and `doctor`. @module */
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
export function addMaintenanceCommands(program: Command): void {
  program
    .command('purge')
    .description('delete runs that have ended')
    .option('--status <status...>', 'only runs that are completed, failed, cancelled or compensated')
    .option('--before <age|date>', 'only runs that ended before this, for example 30d or 2026-01-31', moment)
    .option('--keep-last <count>', 'keep the newest <count> runs of each status', count)
    .option('--dry-run', 'only count what would be deleted')
    .addHelpText('after', examples('purge --before 30d --dry-run', 'purge --status completed --keep-last 1000 --yes'))
    .action(action(purgeRuns))
  program
    .command('verify')
    .description('check the integrity of the store')
    .option('--repair', 'repair indexes')
    .addHelpText('after', examples('verify', 'verify --repair'))
    .action(action(verifyStore))
  program
    .command('stats')
    .description('count the contents of the store, or of one --tenant')
    .option('--sizes', 'also add up sizes, which reads every value')
    .addHelpText('after', examples('stats', 'stats --sizes --json'))
    .action(action(showStats))
  program
    .command('doctor')
    .description('check the store and its settings, and give advice')
    .addHelpText('after', examples('doctor'))
    .action(action(diagnose))
}

async function purgeRuns({ terminal, store, signal, options }: Context, _: readonly string[], flags: PurgeFlags) {
  const { status, before: completedBefore, keepLast, dryRun = false } = flags
  if ((completedBefore === undefined) === (keepLast === undefined)) {
    throw new Failure(EXIT.usage, 'Pass either --before or --keep-last', 'See holdfast purge --help')
  }
  const wanted: PurgeOptions = { tenant: options.tenant, status, completedBefore, keepLast, signal }
  const result = await store(async ({ db }) => {
    const counted = await purge(db, { ...wanted, dryRun: true })
    if (dryRun || counted.runs === 0) return { ...counted, dryRun }
    await terminal.confirm(`Delete ${counted.runs} runs?`)
    const removed = await terminal.progress('purge', (report) =>
      purge(db, { ...wanted, onProgress: ({ done }) => report({ done, total: counted.runs }) }),
    )
    return { ...removed, dryRun }
  })
  const { runs, byStatus } = result
  const each = Object.entries(byStatus).map(([name, number]) => ` ${name} ${number}`)
  terminal.result(result, () => `${runs} runs ${dryRun ? 'would be deleted' : 'deleted'}${each.join(',')}`)
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
    // Opening would migrate an older schema, which the user should decide.
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
