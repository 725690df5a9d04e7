/** Programs that end with this process, however it ends. @module */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'

/**
 * The shell becomes the program, and leaves a guard process. The guard waits for a line that reports the end of the
 * program. If its input ends without that line, the parent of the program is gone. The guard is not a child of the
 * program, because some programs inspect their children.
 */
const SCRIPT = `directory=$1; shift
( { read -r _ <&3 && exit; kill -QUIT $$; while kill -0 $$; do sleep 0.1; done; rm -rf "$directory"; } >/dev/null 2>&1 & )
exec "$@" 3<&-`

/**
 * Starts a program. If this process ends without stopping it, the program is killed and its directory removed.
 *
 * @param command - the program and its arguments
 * @param directory - the directory to remove
 * @param options - options of `spawn`, and where the output goes
 * @returns the program itself; its id is the process id of the program
 */
export function spawnGuarded(
  command: readonly string[],
  directory: string,
  { output = 'ignore', ...options }: Omit<SpawnOptions, 'stdio'> & { readonly output?: 'pipe' | 'ignore' } = {},
): ChildProcess {
  const stdio: SpawnOptions['stdio'] = ['ignore', output, output, 'pipe']
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'guard', directory, ...command], { ...options, stdio })
  const pipe = child.stdio[3] as Writable
  // The guard may have been killed together with its process group.
  pipe.on('error', () => {})
  child.once('exit', () => pipe.end('\n'))
  return child
}
