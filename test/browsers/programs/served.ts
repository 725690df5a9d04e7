/** IndexedDB drivers of a worker, used by its page over ports. The page moves their clocks. */
import { type Port, connect, serve } from '../../../src/served/channel/index.ts'
import type { Clock } from '../../../src/core/clock.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { QUERY, REALM, startWorker } from './report.ts'

/** What the worker is sent: a port to serve a database over, or one to answer on when its clock has been set. */
type Job = { readonly name: string } & ({ readonly port: Port } | { readonly clock: Time; readonly done: Port })

/** Moves on with the machine's clock, or stands still. */
type Time = { readonly ahead: number } | { readonly at: number }

/** Where messages come. */
interface Mailbox<T> {
  addEventListener(type: 'message', listener: (event: { readonly data: T }) => void): void
}

const SERVES = 'serves'

const timeOf = (time: Time): number => ('at' in time ? time.at : Date.now() + time.ahead)

/** Whether this is the worker that serves: then there is nothing else to do. */
export function servesHere(): boolean {
  if (REALM === 'page' || !QUERY.has(SERVES)) return false
  const clocks = new Map<string, Time>()
  const drivers = new Map<string, Driver>()
  const mailbox = globalThis as unknown as Mailbox<Job>
  mailbox.addEventListener('message', ({ data: { name, ...job } }) => {
    if ('done' in job) {
      clocks.set(name, job.clock)
      job.done.postMessage(null, [])
    } else {
      const driver = drivers.get(name) ?? indexedDb({ name, clock: () => timeOf(clocks.get(name)!) })
      drivers.set(name, driver)
      serve(driver, job.port)
    }
  })
  return true
}

/** Starts a worker that serves. */
export function startServing() {
  const worker = startWorker(`&${SERVES}=1`)

  async function setClock(name: string, clock: Time): Promise<void> {
    const { port1, port2 } = new MessageChannel()
    await new Promise<void>((resolve) => {
      ;(port1 as unknown as Mailbox<null>).addEventListener('message', () => resolve())
      ;(port1 as unknown as { start(): void }).start()
      worker.postMessage({ name, clock, done: port2 } satisfies Job, [port2])
    })
    port1.close()
  }

  function connectTo(name: string): Promise<Driver> {
    const { port1, port2 } = new MessageChannel()
    worker.postMessage({ name, port: port2 } satisfies Job, [port2])
    return connect(port1)
  }

  return {
    setClock,
    connectTo,
    /** A driver that has this clock. */
    async timed(name: string, clock: Clock): Promise<Driver> {
      const set = (): Promise<void> => setClock(name, { at: clock() })
      await set()
      const driver = await connectTo(name)
      return {
        ...driver,
        read: async (...call) => (await set(), driver.read(...call)),
        commit: async (...call) => (await set(), driver.commit(...call)),
      }
    },
  }
}
