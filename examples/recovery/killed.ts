/**
 * Scenario A: a process is killed right after a commit. Every answered write is stored. The next process reads where the
 * log ends, and continues after that event.
 *
 *     npm run recovery:killed
 */
import { strictEqual } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHoldfast, isHoldfastError } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'

const ORDER = { runId: 'order-17', workflow: 'order' }
const open = (path: string) => createHoldfast({ driver: sqlite({ path }) })

/** Charges, marks a compensation, packs, and kills its process as soon as the last commit is answered. */
async function work(path: string): Promise<never> {
  const { persistence, idempotency } = open(path)
  await persistence.append({ ...ORDER, kind: 'charged', idempotencyKey: 'charge' })
  await idempotency.markCompensated({ ...ORDER, kind: 'hold-released' })
  await persistence.append({ ...ORDER, kind: 'packed', idempotencyKey: 'pack' })
  process.kill(process.pid, 'SIGKILL')
  throw new Error('Still here')
}

async function recover(path: string): Promise<void> {
  const { persistence, idempotency, close } = open(path)
  const last = (await persistence.getLatestSeq(ORDER.runId)) ?? 0
  strictEqual(last, 2)
  console.log(`The log ends at ${last}: every answered write is stored`)

  const { anchor, nextSeq } = await persistence.resume(ORDER.runId, last)
  strictEqual(anchor?.kind, 'packed')
  console.log(`Resumed after "${anchor.kind}"; the next event is number ${nextSeq}`)

  const again = await persistence.append({ ...ORDER, kind: 'packed', idempotencyKey: 'pack' })
  strictEqual(again.duplicate, true)
  console.log(`The repeated packing is recognised by its idempotency key: still number ${again.seq}`)

  strictEqual(await idempotency.wasCompensated({ ...ORDER, kind: 'hold-released' }), true)
  console.log('The mark of the compensation survived: the compensation is not repeated')

  const { seq } = await persistence.append({ ...ORDER, kind: 'shipped' })
  strictEqual(seq, nextSeq)
  await persistence.complete(ORDER.runId, 'completed')
  const refusal: unknown = await persistence.resume(ORDER.runId, seq).catch((error: unknown) => error)
  strictEqual(isHoldfastError(refusal) && refusal.code, 'ALREADY_COMPLETED')
  console.log('Shipped as number 3, and completed: a second resume is refused with ALREADY_COMPLETED')
  await close()
}

const database = process.argv[2]
if (database) await work(database)

const home = mkdtempSync(join(tmpdir(), 'holdfast-killed-'))
try {
  const path = join(home, 'orders.db')
  const child = spawn(process.execPath, ['--import', 'tsx', import.meta.filename, path], { stdio: 'inherit' })
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
  strictEqual(signal, 'SIGKILL')
  console.log('Process 1 was killed right after its last commit')
  await recover(path)
  console.log('Scenario A: OK')
} finally {
  rmSync(home, { recursive: true })
}
