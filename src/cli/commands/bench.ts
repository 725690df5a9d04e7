/** The command `bench`: measures the user's own store. @module */
import type { Command } from '../libraries.ts'
import { aborted } from '../../core/errors.ts'
import type { Holdfast } from '../../holdfast.ts'
import { positive } from '../arguments.ts'
import { type Context, action, examples } from '../command.ts'

interface Row {
  readonly what: string
  readonly perSecond: number
  readonly medianMs: number
  readonly p95Ms: number
}

/** Adds the command `bench`. */
export function addBenchCommand(program: Command): void {
  program
    .command('bench')
    .description('measure the store, in a tenant of its own that is deleted afterwards')
    .option('--calls <count>', 'the number of calls of each kind', positive, 200)
    .addHelpText('after', examples('bench', 'bench --calls 1000 --json'))
    .action(action(measure))
}

/** Measures calls one after the other. */
async function timed(
  what: string,
  calls: number,
  signal: AbortSignal,
  call: (i: number) => Promise<unknown>,
): Promise<Row> {
  const times: number[] = []
  for (let i = 0; i < calls; i++) {
    // Only between two calls: a call that is still under way could write after the cleanup.
    if (signal.aborted) throw aborted(signal, false)
    const start = performance.now()
    await call(i)
    times.push(performance.now() - start)
  }
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Number((sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(3))
  const total = times.reduce((sum, time) => sum + time, 0)
  return { what, perSecond: Math.round((calls / (total || 1)) * 1000), medianMs: at(0.5), p95Ms: at(0.95) }
}

async function measure(
  { terminal, store, signal }: Context,
  _: readonly string[],
  { calls }: { readonly calls: number },
): Promise<void> {
  const rows = await store(async (holdfast) => {
    const tenant = `bench-${crypto.randomUUID()}`
    const own = holdfast.forTenant(tenant)
    const { state, persistence } = own
    const append = (i: number) => persistence.append({ runId: 'run', workflow: 'bench', kind: 'event', payload: i })
    try {
      return [
        await timed('set', calls, signal, (i) => state.set(`key ${i}`, 'x'.repeat(100))),
        await timed('get', calls, signal, (i) => state.get(`key ${i}`)),
        await timed('append', calls, signal, append),
        await timed('append, 100 at once', Math.ceil(calls / 100), signal, (i) =>
          Promise.all(Array.from({ length: 100 }, (__, j) => append(i * 100 + j))),
        ),
        await timed('load the last event', calls, signal, () => persistence.getLatestSeq('run')),
      ]
    } finally {
      await clear(own)
    }
  })
  terminal.rows(
    ['what', 'perSecond', 'medianMs', 'p95Ms'],
    rows.map((row) => ({ ...row })),
  )
}

/** Deletes everything that was written. */
async function clear({ state, workflows }: Holdfast): Promise<void> {
  await workflows.deleteRun('run')
  const keys: string[] = []
  for await (const key of state.keys()) keys.push(key)
  await Promise.all(keys.map((key) => state.delete(key)))
}
