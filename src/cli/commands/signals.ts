/** The commands `cancel`, `pause`, `unpause` and `intervene`. @module */
import type { Command } from '../libraries.ts'
import { json } from '../arguments.ts'
import { type Context, type Work, action, examples } from '../command.ts'
import { plain } from '../terminal.ts'

interface SignalOptions {
  readonly reason?: string
  readonly by?: string
}

/** Adds the commands that control runs. */
export function addSignalCommands(program: Command): void {
  for (const kind of ['cancel', 'pause'] as const) {
    program
      .command(kind)
      .argument('<run>', 'the id of the run')
      .description(`ask a run to ${kind}, which it does at its next check`)
      .option('--reason <text>', 'why')
      .option('--by <name>', 'who asks')
      .addHelpText('after', examples(`${kind} order-17 --reason 'out of stock' --by ada`))
      .action(action(asking(kind)))
  }
  program
    .command('unpause')
    .argument('<run>', 'the id of the run')
    .description('let a paused run go on')
    .addHelpText('after', examples('unpause order-17'))
    .action(action(unpause))
  program
    .command('intervene')
    .argument('<run>', 'the id of the run')
    .argument('<step>', 'the step that it is about')
    .description('give a run the result or the input of a step')
    .option('--payload <json>', 'the result or the input', json)
    .addHelpText('after', examples(`intervene order-17 charge --payload '{"id":"ch_1"}'`))
    .action(action(intervene))
}

const asking =
  (kind: 'cancel' | 'pause'): Work<SignalOptions> =>
  async ({ terminal, store, signal }, [runId], { reason, by }) => {
    if (kind === 'cancel') await terminal.confirm(`Cancel the run ${plain(runId)}?`)
    await store(({ signals }) => signals.storeSignal(runId!, kind, { reason, requestedBy: by, signal }))
    terminal.result({ runId, requested: kind }, () => `Asked ${plain(runId)} to ${kind}`)
  }

async function unpause({ terminal, store, signal }: Context, [runId]: readonly string[]): Promise<void> {
  const status = await store(({ signals }) => signals.unpause(runId!, { signal }))
  terminal.result({ runId, status }, () => `${plain(runId)} is ${status}`)
}

async function intervene(
  { terminal, store, signal }: Context,
  [runId, targetStep]: readonly string[],
  { payload }: { readonly payload?: unknown },
): Promise<void> {
  const { id } = await store(({ persistence }) =>
    persistence.saveIntervention(runId!, { targetStep: targetStep!, payload }, { signal }),
  )
  terminal.result({ runId, intervention: id }, () => `Left intervention ${id} for ${plain(runId)}`)
}
