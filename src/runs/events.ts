/** Log entries: what callers pass, what is stored, and how it is read. @module */
import { requireInteger } from '../core/arguments.ts'
import { decode, encode } from '../core/codec.ts'
import type { Entry, Value } from '../core/driver.ts'
import { invalid } from '../core/errors.ts'
import { decodeNumber, requireId } from '../core/keys.ts'

/** A log entry to append. */
export interface NewEvent {
  readonly runId: string
  /** The workflow of the run, fixed by its first event. */
  readonly workflow: string
  /** The kind of event, 1 to 256 bytes, such as `step.completed`. */
  readonly kind: string
  /** The step that the event is about. */
  readonly stepId?: string | undefined
  /** The version of the workflow definition that produced it. */
  readonly definitionVersion?: string | undefined
  /** When it happened, in milliseconds since 1970; now by default. */
  readonly at?: number | undefined
  /** Any structured value, see `setJson`. */
  readonly payload?: unknown
  /** For the caller's own use. */
  readonly payloadHash?: string | undefined
  /**
   * The seq that the event must get: the next one of the log. An accepted event repeated with its seq counts as a
   * duplicate.
   */
  readonly seq?: number | undefined
  /** Names this event within its run, 1 to 256 bytes. An accepted event repeated with its key counts as a duplicate. */
  readonly idempotencyKey?: string | undefined
}

/** A stored log entry. */
export interface RunEvent {
  readonly runId: string
  readonly workflow: string
  /** The position in the run's log, from 1, without gaps. */
  readonly seq: number
  readonly kind: string
  readonly stepId?: string
  readonly definitionVersion?: string
  readonly at: number
  readonly payload?: unknown
  readonly payloadHash?: string
  readonly idempotencyKey?: string
}

type Stored = Omit<RunEvent, 'runId' | 'workflow' | 'seq'>

/** Checks an event and encodes it for storage. */
export function encodeEvent(event: Omit<NewEvent, 'runId' | 'workflow'>, now: number): Value {
  const { kind, payload, at = now } = event
  const stored: { -readonly [K in keyof Stored]?: Stored[K] } = { kind: requireId(kind, 'kind') }
  for (const name of ['stepId', 'definitionVersion', 'payloadHash', 'idempotencyKey'] as const) {
    const id = event[name]
    if (id !== undefined) stored[name] = requireId(id, name)
  }
  stored.at = requireInteger(at, 'at')
  if (payload !== undefined) stored.payload = payload
  return encode(stored)
}

/** Reads a stored event back. */
export const decodeEvent = (entry: Entry, runId: string, workflow: string): RunEvent => ({
  runId,
  workflow,
  seq: decodeNumber(entry.key),
  ...(decode(entry.value) as Stored),
})

/** Whether two stored events are equal except for `at`: a repeat may carry a later time. */
export function isSameEvent(a: Value, b: Value): boolean {
  return a === b || isSameJson(withoutTime(a), withoutTime(b))
}

/** The stored text is JSON, whatever its payload, so comparing the JSON compares the values. */
function withoutTime(value: Value): unknown {
  if (typeof value !== 'string') throw invalid('A stored event must be text')
  return { ...(JSON.parse(value) as object), at: 0 }
}

function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const names = Object.keys(a)
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSameJson(Reflect.get(a, name), Reflect.get(b, name)))
  )
}
