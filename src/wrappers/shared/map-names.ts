/**
 * A driver that stores names under other names. Everything that sorts stays as it is: families, statuses, priorities
 * and numbers. Only the ids between them are replaced, one by one. So entries are still found by name and listed by
 * number, but ids sort in an order that only the mapping knows.
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

/** A mapping between names and stored names. */
export interface NameMapping {
  /** The most that it adds to a key and its part, in bytes. */
  readonly overhead: number
  /** Makes the stored name: printable ASCII without separators, always the same for the same name. */
  hide(name: string): Promise<string>
  /** Returns the original name. @throws for anything that {@link NameMapping.hide} cannot have made */
  reveal(hidden: string): Promise<string>
}

/** The possible ends of a range's bound: after a name, after everything under it, after everything with this prefix. */
const BOUND = /^(.*?)( |"|~~)?$/

/** Replaces the ids in a name. */
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
  readonly suffix: string
}

function boundOf(bound: string): Bound {
  const [, stem = '', suffix = ''] = BOUND.exec(bound)!
  // A name under this one has one more element, by which numbers at the end are recognised.
  return { elements: (suffix === '"' ? stem + SEPARATOR : stem).split(SEPARATOR), suffix }
}

/** The use of a range. A forward list may come in any order; deleted entries are not looked at. */
type Use = 'list' | 'reverse' | 'remove'

/**
 * Refuses a range whose answer would depend on the order of ids, because a wrong answer would go unnoticed.
 *
 * @returns the index of the element that must be a number in every key of the answer, if only the bounds say that it is
 *   one
 */
function requireUnordered(bounds: Bounds, { stays, neverId }: Elements, use: Use): number | undefined {
  const start = boundOf(bounds.start)
  const end = boundOf(bounds.end)
  const length = Math.max(start.elements.length, end.elements.length)
  const isIdAt = ({ elements }: Bound, i: number): boolean => !!elements[i] && !stays(elements, i)
  // A number at the end of one bound and in the middle of the other is stored under two different names.
  const isSame = (i: number): boolean => start.elements[i] === end.elements[i] && isIdAt(start, i) === isIdAt(end, i)
  /** The first element in which keys of the range can differ. */
  let fork = 0
  while (fork < length && isSame(fork)) fork++
  /** The first id that would have to be compared with others. */
  const cutOf = (bound: Bound): number => bound.elements.findIndex((_, i) => i >= fork && isIdAt(bound, i))

  const startCut = cutOf(start)
  // The next page starts after an entry, in the same order in which entries come.
  const beginsWhole = startCut < 0 || (use === 'list' && start.suffix === ' ')
  const endCut = cutOf(end)
  const isLikeId = end.suffix === '~~' && isIdAt(end, end.elements.length - 1)
  // After a number, ids only break ties.
  const isTie =
    endCut > 0 &&
    stays(end.elements, endCut - 1) &&
    isNumber(end.elements[endCut - 1]) &&
    end.suffix === '' &&
    end.elements.at(-1) !== ''
  const endsWhole = !isLikeId && (endCut < 0 || (use !== 'remove' && isTie))
  if (!beginsWhole || !endsWhole) throw unsupported()

  const isOneName = fork === length && start.elements.at(-1) !== '' && end.suffix !== '~~'
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
    'Names are hidden, so this call cannot depend on their order; read the whole list, forwards',
  )

const within = (limits: Limits, overhead: number): Limits => ({
  ...limits,
  keyOverhead: (limits.keyOverhead ?? 0) + overhead,
})

const useOf = ({ reverse }: EntryRange): Use => (reverse ? 'reverse' : 'list')

/** Applies a mapping of names to a driver. */
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
      const { elements, suffix } = boundOf(bound)
      const name = await exchange(elements.join(SEPARATOR), kinds, hide)
      return (suffix === '"' ? name.slice(0, -1) : name) + suffix
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
    // An id among the numbers of a log is really stored elsewhere.
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
        /** Passes on an announcement; it may be late. Parts that this mapping did not hide are skipped. */
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
