/** Operations that read and write in one step. @module */
import { equal, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, several, stores } from '../stores.ts'

const LARGEST = Number.MAX_SAFE_INTEGER

/** Stores only if the key is free. */
export const setIfAbsent: Case = defineCase(
  'ST-401',
  'setIfAbsent stores a value if the key is free, and says so',
  async (t) => {
    const { state } = stores(t)
    equal(await state.setIfAbsent('k', 'first'), true)
    equal(await state.setIfAbsent('k', 'second'), false)
    equal(await state.get('k'), 'first')
    await state.delete('k')
    equal(await state.setIfAbsent('k', new Uint8Array()), true)
    equal(await state.get('k'), new Uint8Array())
    await state.set('empty', '')
    equal(await state.setIfAbsent('empty', 'v'), false, 'Empty is there')
  },
)

/** One of several callers is first. */
export const oneWinner: Case = defineCase('ST-402', 'of concurrent setIfAbsent calls exactly one wins', async (t) => {
  const handles = several(t, 4)
  const won = await atOnce(16, (i) => handles[i % 4]!.state.setIfAbsent('k', String(i)))
  equal(won.filter(Boolean).length, 1)
  equal(await handles[0]!.state.get('k'), String(won.indexOf(true)))
})

/** A missing number counts as 0. */
export const increments: Case = defineCase('ST-403', 'increment adds to the stored number', async (t) => {
  const { state } = stores(t)
  equal(await state.increment('n'), 1)
  equal(await state.increment('n', { by: 41 }), 42)
  equal(await state.increment('n', { by: -50 }), -8)
  equal(await state.increment('n', { by: 0 }), -8)
  equal(await state.increment('other', { by: 0 }), 0)
  equal([await state.get('n'), await state.get('other')], ['-8', '0'])
  equal(await state.increment('n', { runId: 'r' }), 1)
})

/** No increment is lost, and each returns its own sum. */
export const incrementTogether: Case = defineCase('ST-404', 'concurrent increments all count, in order', async (t) => {
  const { state } = stores(t)
  equal(await atOnce(100, () => state.increment('n')), upTo(100))
  equal(await atOnce(100, (i) => state.increment('n', { by: i % 2 ? -1 : 1 })).then((sums) => sums.at(-1)), 100)
})

/** Between processes, too. */
export const incrementApart: Case = defineCase('ST-405', 'increments by several databases all count', async (t) => {
  const handles = several(t, 4)
  const sums = await atOnce(60, (i) => handles[i % 4]!.state.increment('n'))
  equal(
    sums.toSorted((a, b) => a - b),
    upTo(60),
  )
})

/** Only integers can be added to. */
export const notAnInteger: Case = defineCase(
  'ST-406',
  'incrementing a value that is not an integer is a conflict',
  async (t) => {
    const { state } = stores(t)
    const values = ['', ' 1', '1 ', '1.5', '1e3', '0x10', '+1', '--1', 'NaN', 'null', '٣', '1\n', new Uint8Array([49])]
    for (const value of values) {
      await state.set('k', value)
      await changesNothing(t, () => rejects(state.increment('k'), 'CONFLICT'))
    }
    await state.set('k', '1')
    equal(await state.increment('k'), 2)
  },
)

/** A sum that is not exact is an error. */
export const overflow: Case = defineCase('ST-407', 'a sum that is not a safe integer is a conflict', async (t) => {
  const { state } = stores(t)
  equal(await state.increment('high', { by: LARGEST }), LARGEST)
  equal(await state.increment('low', { by: -LARGEST }), -LARGEST)
  await changesNothing(t, async () => {
    await rejects(state.increment('high'), 'CONFLICT')
    await rejects(state.increment('high', { by: LARGEST }), 'CONFLICT')
    await rejects(state.increment('low', { by: -1 }), 'CONFLICT')
  })
  equal(await state.increment('high', { by: -1 }), LARGEST - 1)
  equal(await state.increment('high'), LARGEST)
})

/** The same for a stored number that is not exact. */
export const unsafeValue: Case = defineCase(
  'ST-408',
  'incrementing a number that is not safe is a conflict',
  async (t) => {
    const { state } = stores(t)
    for (const value of ['9007199254740993', '-9007199254740993', '9'.repeat(400)]) {
      await state.set('k', value)
      await changesNothing(t, async () => {
        for (const by of [-5, 5]) await rejects(state.increment('k', { by }), 'CONFLICT')
      })
    }
  },
)

/** A counter is text, and JSON. */
export const numbersAsText: Case = defineCase(
  'ST-409',
  'a counter can be set and read as text and as JSON',
  async (t) => {
    const { state } = stores(t)
    await state.setJson('n', 41)
    equal(await state.increment('n'), 42)
    equal([await state.get('n'), await state.getJson('n')], ['42', 42])
    await state.set('n', '-7')
    equal(await state.increment('n'), -6)
  },
)

/** Returns and deletes. */
export const takes: Case = defineCase('ST-410', 'getAndDelete returns a value once', async (t) => {
  const { state } = stores(t)
  await state.set('text', 'a\0b')
  await state.set('bytes', new Uint8Array([0xf5, 1]))
  equal(await state.getAndDelete('text'), 'a\0b')
  equal(await state.getAndDelete('bytes'), new Uint8Array([0xf5, 1]))
  equal([await state.getAndDelete('text'), await state.get('text')], [undefined, undefined])
  await state.set('text', 'again')
  equal(await state.getAndDelete('text'), 'again')
})

/** One of several callers gets it. */
export const oneTaker: Case = defineCase(
  'ST-411',
  'of concurrent getAndDelete calls exactly one gets it',
  async (t) => {
    const handles = several(t, 4)
    for (const round of upTo(3)) {
      await handles[0]!.state.set('k', `v${round}`)
      const taken = await atOnce(16, (i) => handles[i % 4]!.state.getAndDelete('k'))
      equal(
        taken.filter((value) => value !== undefined),
        [`v${round}`],
      )
    }
  },
)

/** A cached value is only a guess. */
export const memoryIsNoTruth: Case = defineCase('ST-412', 'every operation sees changes made elsewhere', async (t) => {
  const [one, other] = [stores(t).state, stores(t).state]
  equal(await one.increment('n', { by: 5 }), 5)
  await other.set('n', '100')
  equal(await one.increment('n'), 101)
  await other.delete('n')
  equal(await one.increment('n'), 1)
  equal(await other.getAndDelete('n'), '1')
  equal(await one.getAndDelete('n'), undefined)
  await other.set('n', 'text')
  await rejects(one.increment('n'), 'CONFLICT')
  await other.set('n', '1')
  equal(await one.increment('n'), 2)
})
