/** `replay`: checks whether changed code fits the recorded runs. @module */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Command } from '../libraries.ts'
import { isHoldfastError } from '../../core/errors.ts'
import { isTerminal } from '../../runs/status.ts'
import { definitionFor } from '../../runner/define.ts'
import { recordedRun, replay } from '../../runner/replay.ts'
import type { AnyWorkflow } from '../../runner/types.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure } from '../failures.ts'
import { plain } from '../terminal.ts'
import { runOf } from './runs.ts'

interface ReplayOptions {
  readonly workflows: string
}

/** Adds the command that compares code with recorded runs. */
export function addReplayCommand(program: Command): void {
  program
    .command('replay')
    .argument('[run...]', 'ids of runs; by default all that have not ended')
    .requiredOption('--workflows <file>', 'the module that exports the workflows')
    .description('check whether changed code fits the recorded runs, without side effects')
    .addHelpText('after', examples('replay --workflows ./workflows.js', 'replay --workflows ./workflows.js order-17'))
    .action(action(replayRuns))
}

async function replayRuns(
  context: Context,
  args: readonly string[],
  options: ReplayOptions,
): Promise<number | undefined> {
  const { terminal, store, signal } = context
  const known = await workflowsIn(options.workflows)
  const asked = (args as unknown as readonly [readonly string[] | undefined])[0] ?? []
  let mismatches = 0
  let count = 0
  /** The runs asked for whose code the module does not have. */
  let missing = 0
  await store(async (holdfast) => {
    async function check(runId: string): Promise<void> {
      const run = await runOf(holdfast, runId, context)
      const { workflow } = run
      const definition = definitionFor(known, run)
      if (!definition) {
        if (asked.length > 0) {
          missing++
          terminal.line(`${plain(runId)}  not replayed: the module has no workflow ${plain(workflow)} of this version`)
        }
        return
      }
      count++
      try {
        const { status } = await replay(definition, await recordedRun(holdfast, runId))
        terminal.line(`${plain(runId)}  fits, ${status === 'open' ? 'and would continue' : status}`)
      } catch (error) {
        if (!isHoldfastError(error, 'NON_DETERMINISTIC')) throw error
        mismatches++
        terminal.line(`${plain(runId)}  ${error.code}: ${plain(error.message)}`)
      }
    }
    if (asked.length > 0) {
      for (const runId of asked) await check(runId)
    } else {
      for await (const { runId, status } of holdfast.workflows.runs({ signal }))
        if (!isTerminal(status)) await check(runId)
    }
  })
  terminal.line(`${count} replayed, ${mismatches} do not fit`)
  return mismatches + missing > 0 ? EXIT.found : undefined
}

/** Returns every workflow that a module exports, by itself or in a list. */
async function workflowsIn(file: string): Promise<readonly AnyWorkflow[]> {
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Failure(
      EXIT.usage,
      `${plain(file)} cannot be loaded: ${plain(reason)}`,
      'Give a module that exports workflows',
    )
  }
  const found = Object.values(module)
    .flat()
    .filter((it): it is AnyWorkflow => typeof (it as Partial<AnyWorkflow> | null)?.fn === 'function')
  if (found.length > 0) return found
  throw new Failure(EXIT.usage, `${plain(file)} exports no workflow`, 'Export the workflows that defineWorkflow made')
}
