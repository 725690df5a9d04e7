/**
 * The key codec and the key space: tuples of ids and numbers, as printable ASCII that sorts as the tuples do.
 *
 * A part is `tenant!family[!runId]`, a key `family[!id…]`. Every id is encoded so that no id can reach into another
 * element, another family or another tenant: code units `$` to `}` stand for themselves, `!` only separates.
 *
 * The key space, drawn once:
 *
 * | part | key | holds |
 * | --- | --- | --- |
 * | `tenant!values` | `name` | a plain value of the tenant |
 * | `tenant!runs` | `runId` | index: the run exists |
 * | `tenant!status` | `status` + since when + `runId` | index: the runs of a status, oldest first |
 * | `tenant!due` | when + `runId` | index: the run waits until then |
 * | `tenant!ready!tags` | priority + since when + `runId` + `stepId` | index: a step can be worked on |
 * | `tenant!waits` | `waitId` | index: the step that waits for somebody outside |
 * | `tenant!snapshots` | `runId` | index: summary of the run's snapshot |
 * | `tenant!tokens` | hash of `runId` and `stepId` | the last fencing token; it outlives the run |
 * | `tenant!marks` | what was compensated | the mark |
 * | `tenant!marked` | when + what | index: the marks, oldest first |
 * | `tenant!run!runId` | `run` | the run's record: workflow, status, position, resume cursor |
 * | | `event!` + seq | the log |
 * | | `idempotency!` + key | the seq of the event appended under this key |
 * | | `intervention!` + number | operator overrides, in order |
 * | | `consumed` | how many interventions were consumed |
 * | | `snapshot` | the snapshot document |
 * | | `history!` + version | earlier snapshots |
 * | | `definition`, `input`, `context` | what the run was started with, and the bag its steps share |
 * | | `step!` + stepId | a step: status, result, error |
 * | | `order!` + number | the id of the step that was inserted so many-th |
 * | | `message!` + name + number | messages, in order |
 * | | `sent!` + name + key | the number of the message sent under this key |
 * | | `taken!` + name | how many messages were consumed |
 * | | `claim`, `claim!` + stepId | who works on the run, or on a step |
 * | | `value!` + name | a value of the run |
 *
 * The idea of a key tree with typed levels comes from FoundationDB's tuple and subspace layers.
 *
 * @module
 */
import { type HoldfastError, invalid } from './errors.ts'

/** Between the elements of a tuple; sorts below every character of an encoded id, so `a` comes before `a…`. */
export const SEPARATOR = '!'
/** Sorts above the separator and below everything an id is made of: the end of a family's range. */
const AFTER = '"'
/** All but the characters that stand for themselves. */
const ESCAPED = /[^$-}]/gu
const MAX_ID_BYTES = 256
/** The tenant of stores that name none. */
export const DEFAULT_TENANT = 'default'
/** Decimal digits of the largest safe integer. */
export const DIGITS = 16

const ASCII = /^[\0-\x7f]*$/

/** UTF-8 length of well-formed text, without encoding what is ASCII. */
export const utf8Bytes = (text: string): number =>
  ASCII.test(text) ? text.length : new TextEncoder().encode(text).length

/**
 * Requires text that can be an id.
 *
 * @param what - the argument's name, for the message
 * @throws `INVALID_ARGUMENT` for anything but 1 to 256 UTF-8 bytes of well-formed Unicode
 */
export function requireId(id: string, what: string): string {
  const found = typeof id !== 'string' ? typeof id : id.isWellFormed() ? utf8Bytes(id) : 'a lone surrogate'
  if (typeof found === 'string' || found < 1 || found > MAX_ID_BYTES) {
    throw invalid(`${what} must be text of 1 to ${MAX_ID_BYTES} UTF-8 bytes, not ${found}`)
  }
  return id
}

/**
 * Encodes one id, order-preserving (by code point) and injective.
 *
 * An escape is 36-ary, whose digits sort below its letters in ASCII. Below `$` it is `#` and one digit. Above `}` it is
 * `~`, the number of digits, and how far above in that many, so that the longer number is the larger one.
 *
 * @param id - 1 to 256 UTF-8 bytes of well-formed Unicode
 * @param what - the argument's name, for the message
 * @throws `INVALID_ARGUMENT` for anything else
 */
export const encodeId = (id: string, what: string): string =>
  // Asked first, because a replacement that finds nothing is slow.
  requireId(id, what).search(ESCAPED) < 0
    ? id
    : id.replace(ESCAPED, (char) => {
        const point = char.codePointAt(0)!
        if (point < 0x24) return `#${point.toString(36)}`
        const above = (point - 0x7e).toString(36)
        return `~${above.length}${above}`
      })

/** The id that {@link encodeId} made this of. */
export const decodeId = (encoded: string): string =>
  encoded.replace(/#(.)|~(?:1.|2..|3.{3}|4.{4})/g, (escape, low?: string) =>
    String.fromCodePoint(low ? Number.parseInt(low, 36) : Number.parseInt(escape.slice(2), 36) + 0x7e),
  )

/** Encodes a safe, non-negative integer as 16 digits. */
export const encodeNumber = (n: number): string => String(n).padStart(DIGITS, '0')

/** The number at the end of a log key. */
export const decodeNumber = (key: string): number => Number(key.slice(-DIGITS))

/** Where a log that was trimmed keeps the last number that was removed: number 0, before all entries. */
export const trimmedKey = (prefix: string): string => prefix + encodeNumber(0)

/** The highest number that a log can end with and still go on: the next one is a safe integer. */
export const LAST_NUMBER: number = Number.MAX_SAFE_INTEGER - 1

const NUMBER = new RegExp(`^\\d{${DIGITS}}$`)

/**
 * The number at which a log ends.
 *
 * @param prefix - of the log
 * @param key - the last key under the prefix
 * @param value - gets the value under that key, which is asked for only where the log was trimmed to its end
 * @throws `INVALID_ARGUMENT` where that is no number, or the last there can be: something else lives under the prefix
 */
export function lastNumber(prefix: string, key: string, value: () => unknown): number {
  const digits = key.slice(prefix.length)
  const isTrimmed = digits === encodeNumber(0)
  const number = isTrimmed ? value() : NUMBER.test(digits) ? digits : undefined
  const last = typeof number === 'string' && /^\d{1,16}$/.test(number) ? Number(number) : Number.NaN
  if (!(last <= LAST_NUMBER)) throw notALog(prefix)
  return last
}

/** `INVALID_ARGUMENT`: the last key under the prefix does not end in a number. */
export const notALog = (prefix: string): HoldfastError =>
  invalid(`The keys under ${prefix} must be numbers to append to it; delete what else is there`)

/** What comes right behind a key or part: a space sorts below everything that either is made of. */
export const behind = (name: string): string => `${name} `

/** The keys that begin with this prefix, as the bounds of a range. A prefix ends with the separator. */
export const under = (prefix: string): { start: string; end: string } => ({
  start: prefix,
  end: prefix.slice(0, -1) + AFTER,
})

/** Every part or key there is, as the bounds of a range: no encoded id has two `~` in a row. */
export const EVERYTHING: { readonly start: string; readonly end: string } = { start: ' ', end: '~~' }

/** Names inside the part of a run; with a `!` at the end, prefixes. */
export const RUN = 'run'
export const SNAPSHOT = 'snapshot'
export const CONSUMED = 'consumed'
export const EVENTS = 'event!'
export const IDEMPOTENCY = 'idempotency!'
export const INTERVENTIONS = 'intervention!'
export const VALUES = 'value!'
export const HISTORY = 'history!'
export const DEFINITION = 'definition'
export const INPUT = 'input'
export const CONTEXT = 'context'
export const STEPS = 'step!'
export const ORDER = 'order!'
export const MESSAGES = 'message!'
export const SENT = 'sent!'
export const TAKEN = 'taken!'
export const CLAIM = 'claim'

/** The parts of one tenant. */
export interface TenantParts {
  readonly values: string
  readonly runs: string
  readonly snapshots: string
  readonly status: string
  readonly due: string
  /** A prefix: every set of tags has a part of its own. */
  readonly ready: string
  readonly waits: string
  readonly tokens: string
  readonly marks: string
  readonly marked: string
  /** @throws `INVALID_ARGUMENT` for a malformed id */
  run(runId: string): string
}

/**
 * The parts of a tenant. A store handle takes its parts from here alone, so no call can reach another tenant's keys.
 *
 * @param tenant - the tenant's id; `default` by default
 * @throws `INVALID_ARGUMENT` for a malformed id
 */
export function tenantParts(tenant: string = DEFAULT_TENANT): TenantParts {
  const root = encodeId(tenant, 'tenant') + SEPARATOR
  /** Mostly it is asked for one run many times. */
  let last = { runId: '', part: '' }
  return {
    values: `${root}values`,
    runs: `${root}runs`,
    snapshots: `${root}snapshots`,
    status: `${root}status`,
    due: `${root}due`,
    ready: `${root}ready!`,
    waits: `${root}waits`,
    tokens: `${root}tokens`,
    marks: `${root}marks`,
    marked: `${root}marked`,
    run(runId) {
      if (runId === '' || runId !== last.runId) last = { runId, part: `${root}run!${encodeId(runId, 'runId')}` }
      return last.part
    },
  }
}

/** What a part of a tenant holds. */
export interface PartName {
  readonly tenant: string
  /** As in the table above: `values`, `runs`, `run`, … */
  readonly family: string
  /** The run, where the part is of one. */
  readonly runId?: string
}

const FAMILIES = /^(?:values|runs|snapshots|status|due|ready|waits|tokens|marks|marked|run)$/

/** Whether this is what the parts of a tenant are called by, as in the table above. */
export const isFamily = (name: string): boolean => FAMILIES.test(name)

/** Reads the name of a part; `undefined` for what {@link tenantParts} did not make, such as a part under a prefix. */
export function partName(part: string): PartName | undefined {
  const [tenant, family, id, ...rest] = part.split(SEPARATOR)
  const hasId = family === 'run' || family === 'ready'
  if (!tenant || !family || !isFamily(family) || hasId !== !!id || rest.length > 0) return undefined
  return { tenant: decodeId(tenant), family, ...(family === 'run' && { runId: decodeId(id!) }) }
}

/** The parts of one tenant, or all there are, as the bounds of a range. */
export const tenantBounds = (tenant?: string): { start: string; end: string } =>
  tenant === undefined ? EVERYTHING : under(encodeId(tenant, 'tenant') + SEPARATOR)
