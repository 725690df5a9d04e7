/**
 * Tells which elements of keys and parts are ids, and which are families, statuses, priorities and numbers, as in the
 * table in `keys.ts`. For wrappers that treat ids differently.
 *
 * @module
 */
import type { EntryKey } from '../../core/driver.ts'
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
  trimmedKey,
} from '../../core/keys.ts'

/** One character per element: `*` for an id, `.` for anything else. */
type Shape = string

/** Shapes of the keys in the part of a family. */
const SHAPES: Readonly<Record<string, Shape>> = {
  values: '*',
  runs: '*',
  snapshots: '*',
  waits: '*',
  tokens: '*',
  status: '..*',
  due: '.*',
  ready: '..**',
  marks: '*****',
  marked: '.*****',
}

/** Shapes of the keys in the part of a run, by their first element. */
const RUN_SHAPES: Readonly<Record<string, Shape>> = {
  ...Object.fromEntries([RUN, SNAPSHOT, CONSUMED, DEFINITION, INPUT, CONTEXT].map((name) => [name, '.'])),
  ...Object.fromEntries([EVENTS, INTERVENTIONS, HISTORY, ORDER].map((prefix) => [prefix.slice(0, -1), '..'])),
  ...Object.fromEntries([STEPS, VALUES, TAKEN, IDEMPOTENCY].map((prefix) => [prefix.slice(0, -1), '.*'])),
  [CLAIM]: '.*',
  // Earlier releases kept fencing tokens here.
  token: '.*',
  [SENT.slice(0, -1)]: '.**',
  [MESSAGES.slice(0, -1)]: '.*.',
}

const NUMBER = new RegExp(`^\\d{${DIGITS}}$`)

/** Whether an element is a number as written in keys. */
export const isNumber = (element: string | undefined): boolean => element !== undefined && NUMBER.test(element)

/** Knowledge about the elements of a name. */
export interface Elements {
  /** Whether the element is not an id. In keys that no store makes, this is a number at the end: the entry of a log. */
  stays(elements: readonly string[], i: number): boolean
  /** Whether the element after these is never an id, whatever its content. */
  neverId(before: readonly string[]): boolean
}

/** The index of the tenant. Everything before it is the prefix of a view, which ends in an empty element. */
const rootOf = (elements: readonly string[]): number => elements.slice(0, -1).lastIndexOf('') + 1

/** Elements of the names of parts. */
export const PART_ELEMENTS: Elements = {
  stays: (elements, i) => i === rootOf(elements) + 1 && isFamily(elements[i]!),
  neverId: () => false,
}

/** Elements of the keys of a part. */
export function keyElements(part: string): Elements {
  const names = part.split(SEPARATOR)
  const family = names[rootOf(names) + 1] ?? ''
  const isRun = family === 'run'
  const shapeOf = ([first = '']: readonly string[]): Shape => {
    const shapes = isRun ? RUN_SHAPES : SHAPES
    const name = isRun ? first : family
    return Object.hasOwn(shapes, name) ? shapes[name]! : ''
  }
  return {
    stays(elements, i) {
      const shape = shapeOf(elements)
      if (i < shape.length) return shape[i] === '.'
      return i > 0 && i === elements.length - 1 && isNumber(elements[i])
    },
    // The first element of a run's key determines the rest, and may be one that no store makes.
    neverId: (before) => !(isRun && before.length === 0) && shapeOf(before)[before.length] === '.',
  }
}

/** Whether a trimmed log keeps the last number removed under this key. Not if the zero is a name. */
export function isTrimmedKey({ part, key }: EntryKey): boolean {
  const prefix = key.slice(0, -DIGITS)
  if (!prefix.endsWith(SEPARATOR) || key !== trimmedKey(prefix)) return false
  const elements = key.split(SEPARATOR)
  return keyElements(part).stays(elements, elements.length - 1)
}
