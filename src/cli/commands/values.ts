/** The commands `get`, `set` and `delete`. @module */
import type { Command } from '../libraries.ts'
import { addAbortSignal } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { toBase64 } from '../../core/base64.ts'
import { duration } from '../arguments.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure } from '../failures.ts'
import { plain } from '../terminal.ts'

interface ScopeOptions {
  readonly run?: string
}

interface SetOptions extends ScopeOptions {
  readonly ttl?: number
  readonly ifAbsent?: boolean
  readonly bytes?: boolean
}

const RUN = ['--run <run>', 'the run that the value belongs to'] as const

/** Adds the commands for values. */
export function addValueCommands(program: Command): void {
  program
    .command('get')
    .argument('<key>', 'the key')
    .description('print a value as it is')
    .option(...RUN)
    .addHelpText('after', examples('get greeting', 'get logo > logo.png', 'get greeting --json'))
    .action(action(getValue))
  program
    .command('set')
    .argument('<key>', 'the key')
    .argument('[value]', 'the value; read from standard input if left out')
    .description('store a value, and create the store if it does not exist')
    .option(...RUN)
    .option('--ttl <time>', 'delete the value after this time, for example 90s, 12h or 30d', duration)
    .option('--if-absent', 'only if the key has no value')
    .option('--bytes', 'store standard input as bytes, not as text')
    .addHelpText(
      'after',
      examples('set greeting hello', 'set logo --bytes < logo.png', 'set lock me --ttl 90s --if-absent'),
    )
    .action(action(setValue))
  program
    .command('delete')
    .argument('<key>', 'the key')
    .description('delete a value')
    .option(...RUN)
    .addHelpText('after', examples('delete greeting --yes'))
    .action(action(deleteValue))
}

const scope = ({ run }: ScopeOptions, signal: AbortSignal) => ({ ...(run !== undefined && { runId: run }), signal })

const missing = (key: string): Failure => new Failure(EXIT.notFound, `The key ${plain(key)} has no value`)

async function getValue(
  { terminal, store, signal, options: common }: Context,
  [key]: readonly string[],
  options: ScopeOptions,
) {
  const value = await store(({ state }) => state.get(key!, scope(options, signal)))
  if (value === undefined) throw missing(key!)
  if (common.json) {
    terminal.result({ key, ...(typeof value === 'string' ? { text: value } : { bytes: toBase64(value) }) }, () => '')
  } else if (typeof value === 'string') terminal.line(value)
  else process.stdout.write(value)
}

async function setValue({ terminal, store, signal }: Context, [key, given]: readonly string[], options: SetOptions) {
  const { ttl, ifAbsent = false, bytes = false } = options
  const read = given === undefined ? await buffer(addAbortSignal(signal, process.stdin)) : undefined
  const value = given ?? (bytes ? new Uint8Array(read!) : read!.toString())
  const stored = await store(
    async ({ state }) => {
      const where = { ...scope(options, signal), ttl }
      if (ifAbsent) return state.setIfAbsent(key!, value, where)
      await state.set(key!, value, where)
      return true
    },
    { create: true },
  )
  if (!stored) throw new Failure(EXIT.refused, `The key ${plain(key)} has a value`, 'Nothing has changed')
  terminal.result({ key, stored }, () => `Stored ${plain(key)}`)
}

async function deleteValue({ terminal, store, signal }: Context, [key]: readonly string[], options: ScopeOptions) {
  await store(async ({ state }) => {
    if (!(await state.exists(key!, scope(options, signal)))) throw missing(key!)
    await terminal.confirm(`Delete the value ${plain(key)}?`)
    await state.delete(key!, scope(options, signal))
  })
  terminal.result({ key, deleted: true }, () => `Deleted ${plain(key)}`)
}
