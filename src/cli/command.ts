/** What every command gets, and how it is put together. @module */
import type { Command } from './libraries.ts'
import type { Holdfast } from '../holdfast.ts'
import { type Opening, withStore } from './stores.ts'
import { type CommonOptions, type Terminal, terminal } from './terminal.ts'

/** What a command works with. */
export interface Context {
  readonly terminal: Terminal
  readonly options: CommonOptions
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  /** Opens the store for some work. */
  store<T>(work: (holdfast: Holdfast) => Promise<T>, options?: Opening): Promise<T>
}

/** Does a command; returns the exit code where that is not 0. */
export type Work<O> = (context: Context, args: readonly string[], options: O) => Promise<number | void>

/** Makes commander's action of the work of a command. */
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

/** Shows examples behind a command's help. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ holdfast ${line}`).join('\n')}`
