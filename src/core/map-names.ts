/**
 * A driver whose names look different underneath. What order rests on stays: families, statuses, priorities and numbers;
 * the ids between them are exchanged, each by itself. So everything is found by its name and in the order of its
 * numbers, and ids come in an order that only the mapping knows.
 *
 * @module
 */
import type { Answer, Check, Commit, Driver, EntryPage, Key, Limits, Op, Outcome, PartPage, Read } from './driver.ts'
import { HoldfastError } from './errors.ts'
import {
  CLAIM,
  CONSUMED,
  CONTEXT,
  DEFINITION,
  DIGITS,
  EVENTS,
  HISTORY,
  IDEMPOTENCY,
  INPUT,
  INTERVENTIONS,
  MESSAGES,
  ORDER,
  RUN,
  SENT,
  SEPARATOR,
  SNAPSHOT,
  STEPS,
  TAKEN,
  VALUES,
  isFamily,
} from './keys.ts'

/** How names look underneath. */
export interface NameMapping {
  /** What it adds to a key and its part at most, in bytes. */
  readonly overhead: number
  /** The name to store: printable ASCII without what separates names, the same for the same name. */
  hide(name: string): Promise<string>
  /** The name that was hidden; refuses what {@link NameMapping.hide} cannot have made. */
  reveal(hidden: string): Promise<string>
}

/** Which elements of a name are ids (`*`), and which stay (`.`). */
type Shape = string

/** Of keys in the part of a family. */
const SHAPES: Readonly<Record<string, Shape>> = {
  values: '*',
  runs: '*',
  snapshots: '*',
  waits: '*',
  tokens: '.',
  status: '..*',
  due: '.*',
  ready: '..**',
  marks: '*****',
  marked: '.*****',
}

/** Of keys in the part of a run, by what they begin with. */
const RUN_SHAPES: Readonly<Record<string, Shape>> = {
  ...Object.fromEntries([RUN, SNAPSHOT, CONSUMED, DEFINITION, INPUT, CONTEXT].map((name) => [name, '.'])),
  ...Object.fromEntries([EVENTS, INTERVENTIONS, HISTORY, ORDER].map((prefix) => [prefix.slice(0, -1), '..'])),
  ...Object.fromEntries([STEPS, VALUES, TAKEN, IDEMPOTENCY].map((prefix) => [prefix.slice(0, -1), '.*'])),
  [CLAIM]: '.*',
  [SENT.slice(0, -1)]: '.**',
  [MESSAGES.slice(0, -1)]: '.*.',
}

/** Elements of a key in a log end with its number, whoever made the log. */
const NUMBER = new RegExp(`^\\d{${DIGITS}}$`)
/** What makes a bound of a name: behind it, behind everything under it, behind everything that begins like it. */
const BOUND = /^(.*?)( |"|~~)?$/

/** Where the tenant is: everything before is the prefix of a view, which ends in an empty element. */
const rootOf = (elements: readonly string[]): number => elements.slice(0, -1).lastIndexOf('') + 1

/** Which elements of the name of a part stay. */
const partStays = (elements: readonly string[], i: number): boolean =>
  i === rootOf(elements) + 1 && isFamily(elements[i]!)

/** Which elements of the keys of a part stay. */
function keyStays(part: string): Stays {
  const names = part.split(SEPARATOR)
  const family = names[rootOf(names) + 1] ?? ''
  return (elements, i) => {
    const shape = (family === 'run' ? RUN_SHAPES[elements[0]!] : SHAPES[family]) ?? ''
    if (i < shape.length) return shape[i] === '.'
    return i > 0 && i === elements.length - 1 && NUMBER.test(elements[i]!)
  }
}

type Stays = (elements: readonly string[], i: number) => boolean

/** Exchanges the ids in a name. */
async function exchange(name: string, stays: Stays, other: (id: string) => Promise<string>): Promise<string> {
  const elements = name.split(SEPARATOR)
  const exchanged = elements.map(async (it, i) => (it === '' || stays(elements, i) ? it : other(it)))
  return (await Promise.all(exchanged)).join(SEPARATOR)
}

interface Bounds {
  readonly start: string
  readonly end: string
}

/** A bound of a range, and what it says of ids. */
interface Bound {
  readonly elements: readonly string[]
  /** What follows the elements, see {@link BOUND}. */
  readonly behind: string
  readonly endsWithId: boolean
}

function boundOf(bound: string, stays: Stays): Bound {
  const [, stem = '', behind = ''] = BOUND.exec(bound)!
  const elements = stem.split(SEPARATOR)
  return { elements, behind, endsWithId: isIdAt(elements, elements.length - 1, stays) }
}

const isIdAt = (elements: readonly string[], i: number, stays: Stays): boolean =>
  elements[i] !== undefined && elements[i] !== '' && !stays(elements, i)

/** Refuses what asks for ids in the order of what they say: a wrong answer would not be noticed. */
function requireWhole(bounds: Bounds, stays: Stays, reverse: boolean): void {
  const [start, end] = [boundOf(bounds.start, stays), boundOf(bounds.end, stays)]
  // A page that goes on behind an entry, forwards or backwards, is asked for in the order in which entries come.
  const goesOn = start.behind === ' '
  const isNumbered = NUMBER.test(end.elements.at(-2) ?? '')
  const endsWhole =
    !end.endsWithId || end.behind === ' ' || end.behind === '"' || (!end.behind && (reverse || isNumbered))
  const fork = start.elements.findIndex((it, i) => it !== end.elements[i])
  const isBetween = isIdAt(start.elements, fork, stays) && isIdAt(end.elements, fork, stays)
  if (goesOn ? endsWhole : !start.endsWithId && endsWhole && !isBetween) return
  throw new HoldfastError('UNSUPPORTED', 'Names are hidden: there is no range between two, nor of what begins like one')
}

const within = (limits: Limits, overhead: number): Limits => ({
  ...limits,
  keyOverhead: (limits.keyOverhead ?? 0) + overhead,
})

/** Puts a mapping of names in front of a driver. */
export function mapNames(driver: Driver, { overhead, hide, reveal }: NameMapping): Driver {
  const hidePart = (part: string): Promise<string> => exchange(part, partStays, hide)
  const revealPart = (part: string): Promise<string> => exchange(part, partStays, reveal)
  const hideKey = async ({ part, key }: Key): Promise<Key> => {
    const [hidden, name] = await Promise.all([hidePart(part), exchange(key, keyStays(part), hide)])
    return { part: hidden, key: name }
  }

  async function hideBounds<B extends Bounds>(bounds: B, stays: Stays, reverse = false): Promise<B> {
    requireWhole(bounds, stays, reverse)
    const hidden = async (bound: string): Promise<string> => {
      const [, stem = '', behind = ''] = BOUND.exec(bound)!
      return (await exchange(stem, stays, hide)) + behind
    }
    const [start, end] = await Promise.all([hidden(bounds.start), hidden(bounds.end)])
    return { ...bounds, start, end }
  }

  async function hideRead(read: Read): Promise<Read> {
    if ('get' in read) return { get: await hideKey(read.get) }
    if ('parts' in read) return { parts: await hideBounds(read.parts, partStays) }
    const { part, reverse } = read.range
    return { range: { ...(await hideBounds(read.range, keyStays(part), reverse)), part: await hidePart(part) } }
  }

  const hideCheck = async (check: Check): Promise<Check> =>
    'log' in check ? { ...check, log: await hideKey(check.log) } : { ...check, at: await hideKey(check.at) }

  async function hideOp(op: Op): Promise<Op> {
    if ('put' in op) return { ...op, put: await hideKey(op.put) }
    if ('append' in op) {
      const { part } = op.append
      const ref = op.ref === undefined ? undefined : (await hideKey({ part, key: op.ref })).key
      return { ...op, append: await hideKey(op.append), ...(ref !== undefined && { ref }) }
    }
    if ('delete' in op) return { delete: await hideKey(op.delete) }
    if ('trim' in op) return { ...op, trim: await hideKey(op.trim) }
    if ('deletePart' in op) return { deletePart: await hidePart(op.deletePart) }
    const { part } = op.deleteRange
    return { deleteRange: { ...(await hideBounds(op.deleteRange, keyStays(part))), part: await hidePart(part) } }
  }

  const hideCommit = async (commit: Commit): Promise<Commit> => {
    const [checks, ops] = await Promise.all([
      Promise.all(commit.checks.map(hideCheck)),
      Promise.all(commit.ops.map(hideOp)),
    ])
    return { ...commit, checks, ops }
  }

  async function revealAnswer(answer: Answer, read: Read): Promise<Answer> {
    if (answer === null) return answer
    if ('get' in read) return { ...answer, key: read.get.key }
    if ('parts' in read) {
      const { parts, more } = answer as PartPage
      return { parts: await Promise.all(parts.map(revealPart)), more }
    }
    const { entries, more } = answer as EntryPage
    const stays = keyStays(read.range.part)
    const revealed = entries.map(async (entry) => ({ ...entry, key: await exchange(entry.key, stays, reveal) }))
    return { entries: await Promise.all(revealed), more }
  }

  const revealOutcome = (outcome: Outcome, { checks }: Commit): Outcome => {
    if (outcome.ok) return outcome
    const failed = outcome.failed.map(({ check, current }) => {
      const asked = checks[check]!
      const isEntry = current !== null && 'at' in asked
      return { check, current: isEntry ? { ...current, key: asked.at.key } : current }
    })
    return { ok: false, failed }
  }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, idOrder: 'hidden', limits: within(driver.capabilities.limits, overhead) },
    async read(reads, options) {
      const { now, answers } = await driver.read(await Promise.all(reads.map(hideRead)), options)
      return { now, answers: await Promise.all(answers.map((answer, i) => revealAnswer(answer, reads[i]!))) }
    },
    async commit({ commits, ...request }, options) {
      const hidden = await Promise.all(commits.map(hideCommit))
      const { now, outcomes } = await driver.commit({ ...request, commits: hidden }, options)
      return { now, outcomes: outcomes.map((outcome, i) => revealOutcome(outcome, commits[i]!)) }
    },
    ...(driver.watch && {
      watch(listener: (parts: readonly string[]) => void) {
        let isOver = false
        /** A hint may be late. What was not hidden by this mapping is not ours. */
        async function tell(parts: readonly string[]): Promise<void> {
          const revealed = await Promise.all(parts.map((part) => revealPart(part).catch(() => undefined)))
          const ours = revealed.filter((name) => name !== undefined)
          if (!isOver && ours.length > 0) listener(ours)
        }
        const stop = driver.watch!((parts) => void tell(parts))
        return () => {
          isOver = true
          stop()
        }
      },
    }),
  }
}
