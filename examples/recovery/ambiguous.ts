/**
 * Scenario C: a write takes effect, but its answer is lost. The driver repeats the request under the same id, so the write
 * takes effect once, and the caller does not notice. Without repeats, the caller gets an ambiguous error, and repeats the
 * write safely with an idempotency key.
 *
 *     npm run recovery:ambiguous
 */
import { ok, strictEqual } from 'node:assert'
import { createHoldfast, isHoldfastError } from 'holdfast'
import { type RemoteRequest, remote } from 'holdfast/http'
import { startBackend } from './backend.ts'

const ORDER = { runId: 'order-17', workflow: 'order' }
const backend = await startBackend()
/** How many of the next answers get lost. */
let lost = 0
const lossy = async (url: string, init: RemoteRequest): Promise<Response> => {
  const response = await fetch(url, init)
  if (lost === 0) return response
  lost--
  await response.arrayBuffer()
  throw new TypeError('The connection broke before the answer arrived')
}

try {
  const patient = createHoldfast({ driver: remote({ url: backend.url, fetch: lossy, timeout: 2000 }) })
  await patient.persistence.append({ ...ORDER, kind: 'begun' })
  lost = 2
  const charged = await patient.persistence.append({ ...ORDER, kind: 'charged' })
  strictEqual(charged.seq, 2)
  console.log('Two answers were lost. The request was repeated under its id, and its event is number 2')

  const hasty = createHoldfast({ driver: remote({ url: backend.url, fetch: lossy, timeout: 2000, attempts: 1 }) })
  await hasty.persistence.append({ ...ORDER, kind: 'picked' })
  const event = { ...ORDER, kind: 'packed', idempotencyKey: 'pack' }
  lost = 1
  const error: unknown = await hasty.persistence.append(event).catch((thrown: unknown) => thrown)
  ok(isHoldfastError(error) && error.ambiguous)
  console.log(`Without repeats the caller gets an ambiguous error: ${error.code}`)
  const again = await hasty.persistence.append(event)
  strictEqual(again.duplicate, true)
  console.log(
    `Repeated with its idempotency key, the write is a duplicate: it had taken effect, as number ${again.seq}`,
  )

  const { events } = (await patient.persistence.load(ORDER.runId))!
  strictEqual(events.map(({ kind }) => kind).join(), 'begun,charged,picked,packed')
  console.log(`The log: ${events.map(({ seq, kind }) => `${seq} ${kind}`).join(', ')}`)

  // An effect outside the store that is marked afterwards happens at least once.
  let parcels = 0
  const key = { ...ORDER, kind: 'ship' }
  const ship = async (isKilled: boolean): Promise<void> => {
    if (await hasty.idempotency.wasCompensated(key)) return
    parcels++
    if (!isKilled) await hasty.idempotency.markCompensated(key)
  }
  await ship(true)
  await ship(false)
  await ship(false)
  strictEqual(parcels, 2)
  console.log('A parcel is sent twice if the process dies between sending and marking: at least once')
  await patient.close()
  await hasty.close()
  console.log('Scenario C: OK')
} finally {
  await backend.end()
}
