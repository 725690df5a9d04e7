/** What the fuzz of the handler asks for: a tenant with large values, many entries, long logs and long names. */
import type { Driver, Op, Value } from '../../../src/core/driver.ts'
import { prefix } from '../../../src/wrappers/prefix.ts'

export const TENANT = 'acme'
const MIB = 2 ** 20

/** The longest value that a request could have brought. */
const LARGEST = 4 * MIB
export const LARGE = 24
export const MIDDLE = 2000
export const SMALL = 100_000
export const LOG = 50_000
export const LONG = 1000

/** So many bytes of changes are written at once, at most. */
const AT_ONCE = 32 * MIB

export const numbered = (n: number): string => `k${String(n).padStart(6, '0')}`
/** As long as a name may be, and in JSON twice as long. */
export const longName = (n: number): string => numbered(n).padEnd(4096, '\\')

/** Bytes and text, the text of one, two and three bytes a character. */
function valueOf(n: number, size: number): Value {
  const chars = ['x', 'é', '\u20ac', '"']
  const char = chars[n % 5]
  if (char === undefined) return new Uint8Array(size).fill(n)
  return char.repeat(Math.floor(size / Buffer.byteLength(char)))
}

const put = (part: string, key: string, value: Value, expires?: { at: number }): Op => ({
  put: { part, key },
  value,
  ...(expires && { expires }),
})

/** What is in each part, by its name. */
const PARTS: Readonly<Record<string, () => Iterable<Op>>> = {
  *large() {
    for (let n = 0; n < LARGE; n++) yield put('large', numbered(n), valueOf(n, LARGEST))
  },
  *middle() {
    for (let n = 0; n < MIDDLE; n++) yield put('middle', numbered(n), valueOf(n, 20_000))
  },
  *small() {
    for (let n = 0; n < SMALL; n++) yield put('small', numbered(n), valueOf(n, n % 40))
  },
  *log() {
    for (let n = 0; n < LOG; n++) yield { append: { part: 'log', key: 'log!' }, value: valueOf(n, n % 100) }
  },
  *gone() {
    for (let n = 0; n < 20_000; n++) yield put('gone', numbered(n), 'v', { at: 1 })
  },
  *long() {
    for (let n = 0; n < LONG; n++) yield put('long', longName(n), '')
    for (let n = 0; n < LONG; n++) yield put(longName(n), 'k', '')
  },
}
export const FILLED: readonly string[] = Object.keys(PARTS)

let ids = 0

/** Fills a part anew. */
export async function fill(driver: Driver, part: string): Promise<void> {
  const view = prefix(driver, TENANT)
  const id = `fill${++ids}`
  const write = (ops: readonly Op[], n: number) =>
    view.commit({ id: `${id}.${n}`, commits: [{ id: `${id}.${n}`, checks: [], ops, durability: 'relaxed' }] })
  let ops: Op[] = [{ deletePart: part }]
  let bytes = 0
  let n = 0
  for (const op of PARTS[part]!()) {
    ops.push(op)
    bytes += 100 + ('value' in op ? op.value.length : 0)
    if (bytes < AT_ONCE && ops.length < 10_000) continue
    await write(ops, n++)
    ops = []
    bytes = 0
  }
  await write(ops, n)
}
