/** A page that does what it is told with IndexedDB drivers, and tells what came of it. */
import type { HoldfastError } from '../../../src/core/errors.ts'
import { type IdbFactory, indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'

const NAME = 'app'
/** One value, in characters: some of them fill any quota that a test sets. */
const VALUE = 2 ** 20

interface Buckets {
  open(name: string): Promise<{ readonly indexedDB: IdbFactory }>
}

interface Scope {
  readonly indexedDB: { databases(): Promise<readonly { readonly name?: string }[]> }
  readonly navigator: { readonly storageBuckets: Buckets }
}

const scope = globalThis as unknown as Scope
const noise = (length: number): string =>
  Array.from({ length }, () => String.fromCodePoint(0x20 + Math.floor(Math.random() * 0x5f))).join('')

/** Keeps a value in a bucket of its own, and tells whether another connection finds it there and nowhere else. */
async function keepInBucket() {
  const { indexedDB } = await scope.navigator.storageBuckets.open('inspections')
  const first = createHoldfast({ driver: indexedDb({ name: NAME, indexedDB }) })
  await first.state.set('k', 'kept')
  await first.db.close()
  const second = createHoldfast({ driver: indexedDb({ name: NAME, indexedDB }) })
  const outside = (await scope.indexedDB.databases()).map(({ name }) => name)
  return { value: await second.state.get('k'), outside }
}

const evicted: string[] = []
const driver = indexedDb({ name: NAME, onEvicted: (epoch) => evicted.push(epoch) })
const { db, state } = createHoldfast({ driver })

/** Writes until there is no room, and tells how that was said and what is there. */
async function fill() {
  const values = new Map<string, string>()
  for (let n = 0; n < 200; n++) {
    const value = noise(VALUE)
    try {
      await state.set(`k${n}`, value)
      values.set(`k${n}`, value)
    } catch (cause) {
      const { code, details, ambiguous } = cause as HoldfastError
      const found = await state.getMany([...values.keys(), `k${n}`])
      const isWhole = found.size === values.size && [...values].every(([key, it]) => found.get(key) === it)
      return { code, details, ambiguous, stored: values.size, isWhole }
    }
  }
  return { code: 'none' }
}

const actions = {
  keepInBucket,
  fill,
  begin: async () => (await state.set('k', 'v'), (await driver.durability()).epoch),
  look: async () => ({ value: await state.get('k'), evicted, epoch: (await driver.durability()).epoch }),
  /** What each kind of call comes to. */
  fail: () =>
    Promise.all(
      [() => state.get('k'), () => state.set('k', 'w'), () => state.increment('n')].map((call) =>
        call().then(
          () => 'none',
          ({ code, details }: HoldfastError) => `${code} ${String(details?.['evicted'])}`,
        ),
      ),
    ),
  openAgain: () => driver.open(),
  close: () => db.close(),
}
Object.assign(globalThis, { actions })

/** What the page can be told to do. */
export type Actions = typeof actions
