/** What the fuzz of the handler asks for: a tenant with large values, many entries, long logs and long names. */
import type { Driver, Op, Value } from '../../../../src/core/driver.ts'
import { prefix } from '../../../../src/wrappers/prefix.ts'

export const TENANT = 'acme'
const MIB = 2 ** 20

/** The longest value that a request could have brought. */
const LARGEST = 4 * MIB

/** How many entries there are in each part. */
export interface Sizes {
  readonly large: number
  readonly middle: number
  readonly small: number
  readonly log: number
  readonly gone: number
  readonly long: number
}

/** As much as is asked for, and for a look in passing. */
export const WHOLE: Sizes = { large: 24, middle: 2000, small: 100_000, log: 50_000, gone: 20_000, long: 1000 }
export const SLICE: Sizes = { large: 8, middle: 500, small: 5000, log: 2000, gone: 500, long: 1000 }

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

/** What is in each part. */
const PARTS: Readonly<Record<keyof Sizes, (n: number) => readonly Op[]>> = {
  middle: (n) => [put('middle', numbered(n), valueOf(n, 20_000))],
  small: (n) => [put('small', numbered(n), valueOf(n, n % 40))],
  log: (n) => [{ append: { part: 'log', key: 'log!' }, value: valueOf(n, n % 100) }],
  gone: (n) => [put('gone', numbered(n), 'v', { at: 1 })],
  long: (n) => [put('long', longName(n), ''), put(longName(n), 'k', '')],
  large: (n) => [put('large', numbered(n), valueOf(n, LARGEST))],
}
export const FILLED = Object.keys(PARTS) as readonly (keyof Sizes)[]

let ids = 0

/** Fills a part anew. */
export async function fill(driver: Driver, part: keyof Sizes, sizes: Sizes): Promise<void> {
  const view = prefix(driver, TENANT)
  const id = `fill${++ids}`
  const write = (ops: readonly Op[], n: number) =>
    view.commit({ id: `${id}.${n}`, commits: [{ id: `${id}.${n}`, checks: [], ops, durability: 'relaxed' }] })
  let ops: Op[] = [{ deletePart: part }]
  let bytes = 0
  let n = 0
  for (let i = 0; i < sizes[part]; i++) {
    for (const op of PARTS[part](i)) {
      ops.push(op)
      bytes += 'value' in op ? op.value.length : 0
    }
    if (bytes < AT_ONCE && ops.length < 10_000) continue
    await write(ops, n++)
    ops = []
    bytes = 0
  }
  await write(ops, n)
}
