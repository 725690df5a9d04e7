/** The runtimes that run programs of ours as processes. */
import { part } from '../support/parts.ts'

/** A runtime. */
export interface Runtime {
  readonly name: string
  /** Absent where this machine does not have it. */
  readonly binary: string | undefined
  /** What comes before a program of ours. */
  readonly flags: readonly string[]
}

const STRIP_TYPES = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning']

export const NODE22: Runtime = { name: 'Node 22', binary: part('node22'), flags: STRIP_TYPES }
export const NODE24: Runtime = { name: 'Node 24', binary: part('node24'), flags: STRIP_TYPES }
export const DENO: Runtime = {
  name: 'Deno',
  binary: part('deno'),
  flags: ['run', '--allow-all', '--no-lock', '--no-check', '--quiet'],
}
export const BUN: Runtime = { name: 'Bun', binary: part('bun'), flags: [] }
