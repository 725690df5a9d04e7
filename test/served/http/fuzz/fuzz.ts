/** The fuzz of the handler: what no request may cost, whatever it asks for. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Findings, Order, Worst } from './child.ts'

const MIB = 2 ** 20

/** The most that a request may cost: bytes of answer, bytes of memory, milliseconds of an event loop that stands still. */
export const BOUNDS: Readonly<Worst> = { answer: 16 * MIB, memory: 64 * MIB, blocked: 200 }

export const BACKENDS: readonly Order['backend'][] = ['memory', 'better-sqlite3']

/** Sends requests in a process of their own. */
export async function fuzz(
  order: Order,
  { onProgress = () => {}, signal }: { onProgress?: (done: number) => void; signal?: AbortSignal } = {},
): Promise<Findings> {
  const child = fork(join(import.meta.dirname, 'child.ts'), [JSON.stringify(order)], {
    execArgv: ['--expose-gc', '--import', 'tsx'],
    ...(signal && { signal }),
  })
  let findings: Findings | undefined
  child.on('message', (message: { done?: number; findings?: Findings }) => {
    if (message.done !== undefined) onProgress(message.done)
    findings = message.findings ?? findings
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (!findings) throw new Error(`The process ended with ${code}: ${JSON.stringify(order)}`)
  return findings
}

/** What was over the bounds, one line each. */
export const violations = ({ kinds }: Findings, bounds: Readonly<Worst> = BOUNDS): string[] =>
  Object.entries(kinds).flatMap(([kind, { worst, which }]) =>
    (['answer', 'memory', 'blocked'] as const)
      .filter((name) => worst[name] > bounds[name])
      .map((name) => `${kind}: ${name} ${Math.round(worst[name])} by request ${which[name]}`),
  )
