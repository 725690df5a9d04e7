/** Programs that end with this process, however it ends. @module */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * The shell becomes the program. What it leaves behind waits for a line, by which it is told that the program has ended;
 * an end without it means that whoever started it has gone. It belongs to nobody, as programs ask who their children are.
 */
const SCRIPT = `directory=$1; shift
( { read -r _ <&3 && exit; kill -QUIT $$; while kill -0 $$; do sleep 0.1; done; rm -rf "$directory"; } >/dev/null 2>&1 & )
exec "$@" 3<&-`

/**
 * Starts a program that is ended, and its directory removed, when this process is gone without having done so.
 *
 * @param command - the program and its arguments
 * @param directory - what is removed
 * @param options - of `spawn`, and what becomes of its output
 * @returns the program itself: its id is that of the process
 */
export function spawnGuarded(
  command: readonly string[],
  directory: string,
  { output = 'ignore', ...options }: Omit<SpawnOptions, 'stdio'> & { readonly output?: 'pipe' | 'ignore' } = {},
): ChildProcess {
  const stdio: SpawnOptions['stdio'] = ['ignore', output, output, 'pipe']
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'guard', directory, ...command], { ...options, stdio })
  const pipe = child.stdio[3] as Writable
  // The guard may have been killed with its group.
  pipe.on('error', () => {})
  child.once('exit', () => pipe.end('\n'))
  return child
}
