/**
 * A driver whose names look different underneath. What order rests on stays: families, statuses, priorities and numbers;
 * the ids between them are exchanged, each by itself. So everything is found by its name and in the order of its
 * numbers, and ids come in an order that only the mapping knows.
 *
 * @module
 */
import type {
  Answer,
  Check,
  Commit,
  Driver,
  EntryPage,
  EntryKey,
  Limits,
  Op,
  Outcome,
  PartPage,
  EntryRange,
  Read,
} from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { type Elements, PART_ELEMENTS, isNumber, keyElements } from './key-shapes.ts'
import { SEPARATOR } from '../../core/keys.ts'

/** How names look underneath. */
export interface NameMapping {
  /** What it adds to a key and its part at most, in bytes. */
  readonly overhead: number
  /** The name to store: printable ASCII without what separates names, the same for the same name. */
  hide(name: string): Promise<string>
  /** The name that was hidden; refuses what {@link NameMapping.hide} cannot have made. */
  reveal(hidden: string): Promise<string>
}

/** How the bounds of ranges end: behind a name, behind everything under it, behind everything that begins like it. */
const BOUND = /^(.*?)( |"|~~)?$/

/** Exchanges the ids in a name. */
async function exchange(name: string, { stays }: Elements, other: (id: string) => Promise<string>): Promise<string> {
  const elements = name.split(SEPARATOR)
  const exchanged = elements.map(async (element, i) =>
    element === '' || stays(elements, i) ? element : other(element),
  )
  return (await Promise.all(exchanged)).join(SEPARATOR)
}

interface Bounds {
  readonly start: string
  readonly end: string
}

/** A bound of a range. */
interface Bound {
  readonly elements: readonly string[]
  /** See {@link BOUND}. */
  readonly behind: string
}

function boundOf(bound: string): Bound {
  const [, stem = '', behind = ''] = BOUND.exec(bound)!
  // What lies under a name has a further element, by which numbers at the end are told from others.
  return { elements: (behind === '"' ? stem + SEPARATOR : stem).split(SEPARATOR), behind }
}

/** What a range is for. A list forwards may come in any order; what is removed goes without being looked at. */
type Use = 'list' | 'reverse' | 'remove'

/**
 * Refuses a range whose answer would depend on the order of ids: a wrong answer would not be noticed.
 *
 * @returns the index of the element that has to be a number in every key of the answer, where bounds are the only ones to
 *   say that there are numbers
 */
function requireUnordered(bounds: Bounds, { stays, neverId }: Elements, use: Use): number | undefined {
  const start = boundOf(bounds.start)
  const end = boundOf(bounds.end)
  const length = Math.max(start.elements.length, end.elements.length)
  const isIdAt = ({ elements }: Bound, i: number): boolean => !!elements[i] && !stays(elements, i)
  // A number at the end of one and in the middle of the other is stored as two different names.
  const isSame = (i: number): boolean => start.elements[i] === end.elements[i] && isIdAt(start, i) === isIdAt(end, i)
  /** The first element in which keys of the range can differ. */
  let fork = 0
  while (fork < length && isSame(fork)) fork++
  /** The first id that would have to be compared with others. */
  const cutOf = (bound: Bound): number => bound.elements.findIndex((_, i) => i >= fork && isIdAt(bound, i))

  const startCut = cutOf(start)
  // A page that goes on behind an entry goes on in the order in which entries come.
  const beginsWhole = startCut < 0 || (use === 'list' && start.behind === ' ')
  const endCut = cutOf(end)
  const isLikeId = end.behind === '~~' && isIdAt(end, end.elements.length - 1)
  // Behind a number, ids only tell apart what is equal.
  const isTie =
    endCut > 0 &&
    stays(end.elements, endCut - 1) &&
    isNumber(end.elements[endCut - 1]) &&
    end.behind === '' &&
    end.elements.at(-1) !== ''
  const endsWhole = !isLikeId && (endCut < 0 || (use !== 'remove' && isTie))
  if (!beginsWhole || !endsWhole) throw unsupported()

  const isOneName = fork === length && start.elements.at(-1) !== '' && end.behind !== '~~'
  if (isOneName) return undefined
  const at = Math.min(fork, length - 1)
  if (neverId(end.elements.slice(0, at))) return undefined
  const isNumbered = [start, end].every(({ elements }) => isNumber(elements[at]) && stays(elements, at))
  if (use === 'reverse' && !isNumbered) throw unsupported()
  return isNumbered ? at : undefined
}

const unsupported = (): HoldfastError =>
  new HoldfastError(
    'UNSUPPORTED',
    'Names are hidden, so nothing can depend on their order; read forwards, and all of it',
  )

const within = (limits: Limits, overhead: number): Limits => ({
  ...limits,
  keyOverhead: (limits.keyOverhead ?? 0) + overhead,
})

const useOf = ({ reverse }: EntryRange): Use => (reverse ? 'reverse' : 'list')

/** Puts a mapping of names in front of a driver. */
export function mapNames(driver: Driver, { overhead, hide, reveal }: NameMapping): Driver {
  const hidePart = (part: string): Promise<string> => exchange(part, PART_ELEMENTS, hide)
  const revealPart = (part: string): Promise<string> => exchange(part, PART_ELEMENTS, reveal)
  const hideKey = async ({ part, key }: EntryKey): Promise<EntryKey> => {
    const [hidden, name] = await Promise.all([hidePart(part), exchange(key, keyElements(part), hide)])
    return { part: hidden, key: name }
  }

  async function hideBounds<B extends Bounds>(bounds: B, kinds: Elements, use: Use): Promise<B> {
    requireUnordered(bounds, kinds, use)
    const hidden = async (bound: string): Promise<string> => {
      const { elements, behind } = boundOf(bound)
      const name = await exchange(elements.join(SEPARATOR), kinds, hide)
      return (behind === '"' ? name.slice(0, -1) : name) + behind
    }
    const [start, end] = await Promise.all([hidden(bounds.start), hidden(bounds.end)])
    return { ...bounds, start, end }
  }

  async function hideRead(read: Read): Promise<Read> {
    if ('get' in read) return { get: await hideKey(read.get) }
    if ('parts' in read) return { parts: await hideBounds(read.parts, PART_ELEMENTS, 'list') }
    const { range } = read
    const bounds = await hideBounds(range, keyElements(range.part), useOf(range))
    return { range: { ...bounds, part: await hidePart(range.part) } }
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
    return {
      deleteRange: { ...(await hideBounds(op.deleteRange, keyElements(part), 'remove')), part: await hidePart(part) },
    }
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
    const { range } = read
    const kinds = keyElements(range.part)
    const revealed = await Promise.all(
      entries.map(async (entry) => ({ ...entry, key: await exchange(entry.key, kinds, reveal) })),
    )
    const numbered = requireUnordered(range, kinds, useOf(range))
    // An id among the numbers of a log lies elsewhere in truth.
    if (numbered !== undefined && revealed.some(({ key }) => !isNumber(key.split(SEPARATOR)[numbered]))) {
      throw unsupported()
    }
    return { entries: revealed, more }
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
