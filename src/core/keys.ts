/**
 * The key codec and the key space: tuples of ids and numbers, encoded as printable ASCII that sorts like the tuples.
 *
 * A part is `tenant!family[!runId]`, a key `family[!id…]`. Ids are encoded so that no id can reach into another
 * element, family or tenant: code units `$` to `}` are kept as they are, and `!` is only a separator.
 *
 * The key space:
 *
 * | part | key | holds |
 * | --- | --- | --- |
 * | `tenant!values` | `name` | a plain value of the tenant |
 * | `tenant!runs` | `runId` | index: the run exists |
 * | `tenant!status` | `status` + since when + `runId` | index: the runs of a status, oldest first; `aside` stands for those put aside |
 * | `tenant!due` | when + `runId` | index: the run waits until then |
 * | `tenant!ready!tags` | priority + since when + `runId` + `stepId` | index: a step can be worked on |
 * | `tenant!waits` | `waitId` | index: the step that waits for an outside answer |
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
 * | | `definition`, `input`, `context` | the definition and input of the run, and the context its steps share |
 * | | `step!` + stepId | a step: status, result, error |
 * | | `order!` + number | the id of the n-th step inserted |
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
import type { EntryKey, EntryRange } from './driver.ts'
import { type HoldfastError, invalid } from './errors.ts'

/** Separates the elements of a tuple. Sorts below every character of an encoded id, so `a` comes before `a…`. */
export const SEPARATOR = '!'
/** Sorts above the separator and below every character of an id: the end of a family's range. */
const AFTER = '"'
/** Every character that needs an escape. */
const ESCAPED = /[^$-}]/gu
const MAX_ID_BYTES = 256
/** The tenant of stores that name none. */
export const DEFAULT_TENANT = 'default'
/** Decimal digits of the largest safe integer. */
export const DIGITS = 16

const ASCII = /^[\0-\x7f]*$/

/** The UTF-8 length of well-formed text. ASCII text is not encoded to measure it. */
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
 * Encodes one id. Distinct ids stay distinct, and their order by code point is kept.
 *
 * An escape uses base 36, whose digits sort below its letters in ASCII. Below `$` it is `#` and one digit. Above `}` it
 * is `~`, the number of digits, and the distance above `}` in that many digits, so that a longer number sorts as the
 * larger one.
 *
 * @param id - 1 to 256 UTF-8 bytes of well-formed Unicode
 * @param what - the argument's name, for the message
 * @throws `INVALID_ARGUMENT` for anything else
 */
export const encodeId = (id: string, what: string): string =>
  // Search first: replacing is slow even if nothing matches.
  requireId(id, what).search(ESCAPED) < 0
    ? id
    : id.replace(ESCAPED, (char) => {
        const point = char.codePointAt(0)!
        if (point < 0x24) return `#${point.toString(36)}`
        const above = (point - 0x7e).toString(36)
        return `~${above.length}${above}`
      })

/** Decodes an id encoded by {@link encodeId}. */
export const decodeId = (encoded: string): string =>
  encoded.replace(/#(.)|~(?:1.|2..|3.{3}|4.{4})/g, (escape, low?: string) =>
    String.fromCodePoint(low ? Number.parseInt(low, 36) : Number.parseInt(escape.slice(2), 36) + 0x7e),
  )

/** Encodes a safe, non-negative integer as 16 digits. */
export const encodeNumber = (n: number): string => String(n).padStart(DIGITS, '0')

/** The number at the end of a log key. */
export const decodeNumber = (key: string): number => Number(key.slice(-DIGITS))

/** The key of a trimmed log that holds the last number removed: number 0, before all entries. */
export const trimmedKey = (prefix: string): string => prefix + encodeNumber(0)

/** The highest number that a log can end with and still grow: the next number is a safe integer. */
export const LAST_NUMBER: number = Number.MAX_SAFE_INTEGER - 1

const NUMBER = new RegExp(`^\\d{${DIGITS}}$`)

/**
 * The last number of a log.
 *
 * @param prefix - the prefix of the log
 * @param key - the last key under the prefix
 * @param value - gets the value under that key; called only if the log was trimmed to its end
 * @throws `INVALID_ARGUMENT` if the key does not end in a number, or in one too high to continue: something other than
 *   a log lives under the prefix
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
  invalid(`The keys under ${prefix} must end in numbers to append to it; delete all others`)

/** The first possible name after a key or part: a space sorts below every character of either. */
export const keyAfter = (name: string): string => `${name} `

/** The range of one entry, to read it without its value. */
export const headOf = ({ part, key }: EntryKey): EntryRange => ({
  part,
  start: key,
  end: keyAfter(key),
  limit: 1,
  keysOnly: true,
})

/** The bounds of the range of all keys with this prefix. A prefix ends with the separator. */
export const under = (prefix: string): { start: string; end: string } => ({
  start: prefix,
  end: prefix.slice(0, -1) + AFTER,
})

/** The bounds of the range of all parts or keys: no encoded id has two `~` in a row. */
export const EVERYTHING: { readonly start: string; readonly end: string } = { start: ' ', end: '~~' }

/** Names inside the part of a run. Those that end in `!` are prefixes. */
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
  /** A prefix: each set of tags has its own part. */
  readonly ready: string
  readonly waits: string
  readonly tokens: string
  readonly marks: string
  readonly marked: string
  /** @throws `INVALID_ARGUMENT` for a malformed id */
  run(runId: string): string
}

/**
 * The parts of a tenant. A store takes its parts only from here, so no call can reach another tenant's keys.
 *
 * @param tenant - the tenant's id; `default` by default
 * @throws `INVALID_ARGUMENT` for a malformed id
 */
export function tenantParts(tenant: string = DEFAULT_TENANT): TenantParts {
  const root = encodeId(tenant, 'tenant') + SEPARATOR
  /** The last result: most callers ask for one run many times. */
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

/** The decoded name of a part. */
export interface PartName {
  readonly tenant: string
  /** As in the table of this module: `values`, `runs`, `run`, … */
  readonly family: string
  /** The run, if the part belongs to one. */
  readonly runId?: string
}

const FAMILIES = /^(?:values|runs|snapshots|status|due|ready|waits|tokens|marks|marked|run)$/

/** Whether a family of this name exists in the table of this module. */
export const isFamily = (name: string): boolean => FAMILIES.test(name)

/** Decodes the name of a part; `undefined` if {@link tenantParts} did not make it, such as a part under a prefix. */
export function partName(part: string): PartName | undefined {
  const [tenant, family, id, ...rest] = part.split(SEPARATOR)
  const hasId = family === 'run' || family === 'ready'
  if (!tenant || !family || !isFamily(family) || hasId !== !!id || rest.length > 0) return undefined
  return { tenant: decodeId(tenant), family, ...(family === 'run' && { runId: decodeId(id!) }) }
}

/** The bounds of the range of one tenant's parts, or of all parts. */
export const tenantBounds = (tenant?: string): { start: string; end: string } =>
  tenant === undefined ? EVERYTHING : under(encodeId(tenant, 'tenant') + SEPARATOR)
