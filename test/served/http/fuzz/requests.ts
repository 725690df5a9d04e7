/** Requests of every kind, hostile and well-formed, each with a body of at most 64 kB. */
import { FILLED, type Sizes, longName, numbered } from './store.ts'

const MOST_BYTES = 65_536

const DEEP = 'deep'

/** What takes away more than one entry: the part is filled anew, which takes longer than a thousand requests. */
const EMPTYING = /"(?:deletePart":|(?:deleteRange|trim)":\{"part":)"(\w+)"/g

/** A request, and what it may have emptied. */
export interface Attempt {
  readonly kind: string
  readonly body: Uint8Array<ArrayBuffer>
  readonly empties: readonly (keyof Sizes)[]
}

type Random = () => number
type Json = Record<string, unknown>

/**
 * Makes the requests of a seed, one after the other.
 *
 * @param run - what its ids begin with
 */
export function attempts(random: Random, run: string, sizes: Sizes): () => Attempt {
  const int = (n: number): number => Math.floor(random() * n)
  const pick = <T>(items: readonly T[]): T => items[int(items.length)]!
  const times = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i))
  /** Mostly as many as there may be. */
  const many = (most: number): number => pick([1, 3, 10, 100, most, most, most])
  let count = 0
  let last: Attempt | undefined

  const keyIn = (part: string): { part: string; key: string } => {
    if (part === 'log') return { part, key: `log!${String(1 + int(sizes.log)).padStart(16, '0')}` }
    if (part === 'long') return { part, key: longName(int(sizes.long)) }
    return { part, key: numbered(int(sizes[part as keyof Sizes] ?? 1000)) }
  }
  const anyPart = (): string => pick([...FILLED, 'w', 'none'])
  const rangeOf = (part: string): Json => {
    const start = pick([' ', keyIn(part).key])
    return {
      part,
      start,
      end: pick(['~~', '~~', keyIn(part).key]),
      limit: pick([1, 17, 1000, 1000, 1000]),
      reverse: random() < 0.4,
      keysOnly: random() < 0.4,
    }
  }
  const at = (part: string) =>
    pick([
      () => ({ at: keyIn(part), version: null }),
      () => ({ at: keyIn(part), version: 'none' }),
      () => ({ log: { part, key: 'log!' }, last: int(3) }),
    ])()
  const commit = (ops: readonly unknown[], checks: readonly unknown[] = []): Json => ({
    id: `${run}c${count}.${int(1e9)}`,
    checks,
    ops,
    durability: random() < 0.02 ? 'strict' : 'relaxed',
  })
  const request = (commits: readonly Json[]): Json => ({
    version: 1,
    id: `${run}r${count}`,
    commits,
    ...(random() < 0.2 && { deadline: Date.now() + int(100_000) - 20_000 }),
  })
  const reading = (reads: readonly unknown[]): Json => ({
    version: 1,
    reads,
    ...(random() < 0.3 && { known: int(reads.length + 1) }),
  })
  const once = <T>(items: readonly T[]): T[] => [...new Map(items.map((it) => [JSON.stringify(it), it])).values()]
  /** Stands for deep JSON, which no serializer takes. */
  const deep = (): string => DEEP
  const deepText = (): string => {
    const depth = pick([100, 3000, 10_000])
    return pick(['['.repeat(depth) + ']'.repeat(depth), '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)])
  }
  const writes = (): unknown => {
    const to = { part: 'w', key: numbered(int(1000)) }
    return pick<() => unknown>([
      () => ({
        put: to,
        value: 'é"\\\u0001'.repeat(int(60)),
        ...(random() < 0.3 && { expires: { in: int(1000) - 100 } }),
      }),
      () => ({ append: { part: 'w', key: 'log!' }, value: 'v', ...(random() < 0.3 && { ref: `ref${int(1e6)}` }) }),
      () => ({ delete: to }),
      () => ({ delete: keyIn('small') }),
      () => ({ trim: { part: 'w', key: 'log!' }, through: 1 + int(sizes.log) }),
      () => ({ deleteRange: { part: 'w', start: ' ', end: pick(['~', numbered(int(1000))]) } }),
    ])()
  }

  /** How often, and what; a list is cut to what a body holds. */
  const KINDS: readonly (readonly [string, number, () => Json | string])[] = [
    ['gets of large values', 2, () => reading(times(many(1000), () => ({ get: keyIn('large') })))],
    ['gets of middling values', 3, () => reading(times(many(1000), () => ({ get: keyIn('middle') })))],
    ['gets', 6, () => reading(times(many(1000), () => ({ get: keyIn(anyPart()) })))],
    ['ranges of large values', 2, () => reading(times(many(500), () => ({ range: rangeOf('large') })))],
    ['ranges of small values', 3, () => reading(times(many(500), () => ({ range: rangeOf('small') })))],
    ['ranges of what has expired', 2, () => reading(times(many(500), () => ({ range: rangeOf('gone') })))],
    [
      'ranges of keys',
      3,
      () => reading(times(many(500), () => ({ range: { ...rangeOf(anyPart()), keysOnly: true, limit: 1000 } }))),
    ],
    ['ranges', 6, () => reading(times(many(500), () => ({ range: rangeOf(anyPart()) })))],
    [
      'parts',
      2,
      () =>
        reading(
          times(many(500), () => ({
            parts: { start: pick([' ', 'k', longName(int(sizes.long))]), end: '~~', limit: 1000 },
          })),
        ),
    ],
    [
      'questions of all kinds',
      6,
      () =>
        reading(
          times(many(600), () =>
            pick([
              { get: keyIn(anyPart()) },
              { range: rangeOf(anyPart()) },
              { parts: { start: ' ', end: '~~', limit: 10 } },
            ]),
          ),
        ),
    ],
    [
      'checks of large values',
      4,
      () => request([commit([], once(times(many(1000), () => ({ at: keyIn('large'), version: null }))))]),
    ],
    [
      'a large value checked by many commits',
      4,
      () => request(times(many(400), () => commit([], [{ at: keyIn('large'), version: 'none' }]))),
    ],
    [
      'checks',
      6,
      () => request(times(pick([1, 30]), () => commit([writes()], once(times(many(300), () => at(anyPart())))))),
    ],
    ['many commits', 8, () => request(times(many(500), () => commit([writes()])))],
    ['many ops', 8, () => request([commit(once(times(many(900), writes)))])],
    [
      'many deletes',
      4,
      () =>
        request(
          times(pick([1, 1000]), () =>
            commit(
              once(
                times(pick([1, 900]), () => ({ delete: { part: pick(['a', 'b']), key: pick(['a', 'b', 'c', 'd']) } })),
              ),
            ),
          ),
        ),
    ],
    [
      'deletes of much',
      0.1,
      () =>
        request([
          commit([
            pick<unknown>([
              { deletePart: pick(FILLED) },
              { deleteRange: { part: pick(FILLED), start: ' ', end: '~~' } },
            ]),
          ]),
        ]),
    ],
    [
      'trims of a long log',
      0.1,
      () => request([commit([{ trim: { part: 'log', key: 'log!' }, through: pick([1000, sizes.log, 1e9]) }])]),
    ],
    [
      'appends behind much',
      3,
      () => request([commit(times(many(900), () => ({ append: { part: 'log', key: 'log!' }, value: 'v' })))]),
    ],
    [
      'a value of 60 kB',
      2,
      () =>
        request([
          commit([{ put: { part: 'w', key: numbered(int(100)) }, value: pick(['x', '\u0001', '"']).repeat(10_000) }]),
        ]),
    ],
    [
      'deep JSON',
      3,
      () =>
        pick<() => Json>([
          () => ({ version: 1, reads: deep() }),
          () => reading([deep(), { get: deep() }, { range: deep() }]),
          () => request([{ ...commit([deep()]), checks: deep() }]),
          () => request([commit([{ put: { part: 'w', key: 'k' }, value: deep() }])]),
          () => ({ version: deep(), id: deep() }),
        ])(),
    ],
    [
      'wide JSON',
      2,
      () =>
        pick<() => Json>([
          () => ({ version: 1, reads: times(20_000, () => 1) }),
          () => request(times(15_000, () => ({}))),
          () => Object.fromEntries(times(5000, (i) => [`m${i}`, i])),
          () => ({ version: 1, id: 'i'.repeat(60_000), commits: [] }),
          () => reading([{ get: { part: 'p'.repeat(60_000), key: 'k' } }]),
        ])(),
    ],
    ['noise', 3, () => times(int(2000), () => String.fromCharCode(int(0x2000))).join('')],
  ]
  const total = KINDS.reduce((sum, [, weight]) => sum + weight, 0)

  /** As text that fits, shortened by what it has most of. */
  function textOf(message: Json | string): string {
    let json = message
    for (;;) {
      const text = typeof json === 'string' ? json : JSON.stringify(json)
      if (Buffer.byteLength(text) < MOST_BYTES) return text
      const less = typeof json === 'string' ? json.slice(0, json.length / 2) : halved(json)
      // What cannot be shortened is cut off.
      json = typeof less !== 'string' && JSON.stringify(less).length >= text.length ? text : less
    }
  }

  function halved(json: Json): Json {
    const half = (it: unknown): unknown => (Array.isArray(it) ? it.slice(0, Math.floor(it.length * 0.8)) : it)
    const commits = json['commits'] as Json[] | undefined
    if (commits?.length === 1) {
      const [only] = commits
      return { ...json, commits: [{ ...only, ops: half(only!['ops']), checks: half(only!['checks']) }] }
    }
    const reads = half(json['reads'])
    if (Array.isArray(reads) || commits) {
      const known =
        Array.isArray(reads) && typeof json['known'] === 'number' ? Math.min(json['known'], reads.length) : undefined
      return {
        ...json,
        ...(reads !== undefined && { reads }),
        ...(known !== undefined && { known }),
        ...(commits && { commits: half(commits) }),
      }
    }
    return Object.fromEntries(Object.entries(json).slice(0, Object.keys(json).length / 2))
  }

  const cutOff = (text: string): string => (Buffer.byteLength(text) < MOST_BYTES ? text : text.slice(0, MOST_BYTES / 3))

  /** Something is wrong with it. */
  function spoilt(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const copy = body.slice(0, random() < 0.3 ? int(body.length) : body.length)
    for (let n = int(4); n > 0 && copy.length > 0; n--) copy[int(copy.length)] = int(256)
    return copy
  }

  return () => {
    count++
    if (last && random() < 0.05) return { ...last, kind: `${last.kind}, again` }
    let left = random() * total
    const [kind, , make] = KINDS.find(([, weight]) => (left -= weight) < 0)!
    const text = cutOff(textOf(make()).replaceAll(`"${DEEP}"`, deepText))
    const body = new TextEncoder().encode(text)
    const isSpoilt = random() < 0.05
    const emptied = new Set(Array.from(text.matchAll(EMPTYING), ([, part]) => part))
    const empties = FILLED.filter((part) => emptied.has(part))
    last = { kind: isSpoilt ? `${kind}, spoilt` : kind, body: isSpoilt ? spoilt(body) : body, empties }
    return last
  }
}
