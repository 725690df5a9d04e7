/** Copies that are cut off: in this process by an error, in another one by SIGKILL. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createDatabase } from '../../src/core/database.ts'
import type { Driver } from '../../src/core/driver.ts'
import { copy } from '../../src/ops/index.ts'
import type { Address } from './addresses.ts'
import type { Store } from './backends.ts'

/** When the request is cut off that goes over the limit: before it is sent, under way, or when it is answered. */
export type Moment = 'before' | 'under way' | 'behind'
export const MOMENTS: readonly Moment[] = ['before', 'under way', 'behind']

/** Where a copy is cut off. */
export interface Cut {
  /** How many entries are written before. */
  readonly after: number
  readonly when: Moment
  /** The most entries in a batch. */
  readonly batch: number
}

/** What a child process is told. */
export interface CutOrder extends Cut {
  readonly from: Address
  readonly to: Address
}

/** A driver that is cut off. @param end - does it; nothing more is sent then */
export function cutOff(driver: Driver, { after, when }: Cut, end: () => never): Driver {
  let left = after
  let isOver = false
  return {
    ...driver,
    async commit(request, options) {
      if (isOver) return end()
      left -= request.commits.reduce((sum, { ops }) => sum + ops.length, 0)
      if (left > 0) return driver.commit(request, options)
      isOver = true
      if (when === 'before') return end()
      const answer = driver.commit(request, options)
      if (when === 'behind') await answer
      else {
        // Whether it takes effect is left to chance: it is on its way.
        answer.catch(() => {})
        await new Promise((done) => setTimeout(done, Math.random() * 3))
      }
      return end()
    },
  }
}

/** Cuts a copy off by an error. */
export async function cutByError(from: Store, to: Store, cut: Cut): Promise<void> {
  const source = createDatabase({ driver: await from.open() })
  const driver = await to.open()
  const end = (): never => {
    throw new Error('Cut off')
  }
  const target = createDatabase({ driver: cutOff(driver, cut, end) })
  try {
    await copy(source, target, { batch: cut.batch })
  } catch (error) {
    if (!/Cut off/.test(String((error as Error).cause))) throw error
    return
  } finally {
    await target.close()
    await source.close()
  }
  throw new Error('The copy came to its end')
}

/** Cuts a copy off by killing its process. */
export async function cutByKill(from: Address, to: Address, cut: Cut): Promise<void> {
  const order: CutOrder = { from, to, ...cut }
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', resolve(import.meta.dirname, 'copy-child.ts'), JSON.stringify(order)],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error(`The process that copies ended by itself, with ${code}`)
}
