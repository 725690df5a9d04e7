/** The parts that all commands share. @module */
import type { Command } from './libraries.ts'
import type { Holdfast } from '../holdfast.ts'
import { type Opening, withStore } from './stores.ts'
import { type CommonOptions, type Terminal, terminal } from './terminal.ts'

/** The tools of a command. */
export interface Context {
  readonly terminal: Terminal
  readonly options: CommonOptions
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Opens the store, runs `work`, and closes the store. */
  store<T>(work: (holdfast: Holdfast) => Promise<T>, options?: Opening): Promise<T>
}

/** Runs a command. Resolves to the exit code if that is not 0. */
export type Work<O> = (context: Context, args: readonly string[], options: O) => Promise<number | void>

/** Wraps the work of a command as a commander action. */
export const action =
  <O>(work: Work<O>) =>
  async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const options = command.optsWithGlobals<O & CommonOptions>()
    const stop = new AbortController()
    const onInterrupt = (): void => stop.abort()
    process.once('SIGINT', onInterrupt)
    try {
      const context: Context = {
        terminal: terminal(options),
        options,
        signal: stop.signal,
        store: (inner, opening) =>
          withStore(options.store ?? process.env['HOLDFAST_URL'], { tenant: options.tenant, ...opening }, inner),
      }
      const exit = await work(context, command.processedArgs as readonly string[], options)
      if (exit !== undefined) process.exitCode = exit
    } finally {
      process.off('SIGINT', onInterrupt)
    }
  }

/** Formats examples for the end of a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ holdfast ${line}`).join('\n')}`
