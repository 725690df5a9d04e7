/**
 * The body of requests and answers, both ways: one line of JSON, then the bytes that it speaks of, one after the other
 * in the order in which it does. See docs/http-protocol.md.
 *
 * @module
 */
import type { Limits, Value } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'

/** The version of the protocol. */
export const VERSION = 1

/** The media type of every body. A page of another origin cannot send it without being asked about (CORS). */
export const MEDIA_TYPE = 'application/vnd.holdfast'

/** What an answer holds at most, in bytes of keys, versions and values, unless the options of its handler say other. */
export const ANSWER_BYTES: number = 2 ** 23

/** What every server grants unless its driver or its options say less, and every caller counts on unless it is told. */
export const LIMITS: Limits = {
  valueBytes: 2 ** 20,
  requestBytes: 2 ** 22,
  commitKeys: 1000,
  requestCommits: 1000,
  requestReads: 1000,
  rangeEntries: 1000,
  answerBytes: ANSWER_BYTES,
}

/** How long a server recognises a repeated request at least, in milliseconds. */
export const REPLAY_WINDOW = 120_000

/**
 * What each key and each value counts toward `requestBytes` besides, at least: half of the JSON that stands around it. The
 * longest around a key is `{"log":{"part":"","key":""},"last":…},`, and around a value
 * `,"value":{"bytes":…},"expires":{"at":…}`, of which the key pays a part.
 */
export const KEY_OVERHEAD = 32
export const VALUE_OVERHEAD = 32

/** What callers count for a key unless they are told: enough for most tenants' names before it, too. */
export const CALLERS_KEY_OVERHEAD = 128

/** A body holds so many bytes besides: what stands around the request, and around a thousand commits. */
const ENVELOPE_BYTES = 2 ** 16

/** The longest body of a request of this size. Twice, because JSON doubles quotation marks and backslashes in keys. */
export const bodyBytesOf = (requestBytes: number): number => 2 * requestBytes + ENVELOPE_BYTES

/** The largest request whose body is not longer than this. */
export const requestBytesOf = (bodyBytes: number): number => Math.floor((bodyBytes - ENVELOPE_BYTES) / 2)

/** Longer text travels behind the JSON, as does what JSON would escape. */
const INLINE = 256
// oxlint-disable-next-line no-control-regex -- JSON escapes them
const ESCAPED = /["\\\0-\x1f]/
const NEWLINE = 10

/** A body that is being made. */
export interface FrameWriter {
  /** Takes a value along; what it returns stands for the value in the message. Called in the message's order. */
  value(value: Value): unknown
  /** The body of a message that the values were taken from. */
  finish(message: object): Uint8Array<ArrayBuffer>
}

export function frameWriter(): FrameWriter {
  const encoder = new TextEncoder()
  const attached: Uint8Array[] = []
  return {
    value(value) {
      const isText = typeof value === 'string'
      if (isText && value.length <= INLINE && !ESCAPED.test(value)) return value
      const bytes = isText ? encoder.encode(value) : value
      attached.push(bytes)
      return isText ? { text: bytes.length } : { bytes: bytes.length }
    },
    finish(message) {
      const head = encoder.encode(`${JSON.stringify(message)}\n`)
      if (attached.length === 0) return head
      const body = new Uint8Array(attached.reduce((sum, bytes) => sum + bytes.length, head.length))
      body.set(head)
      let at = head.length
      for (const bytes of attached) {
        body.set(bytes, at)
        at += bytes.length
      }
      return body
    },
  }
}

/** A body that came in. */
export interface Frame {
  readonly message: unknown
  /**
   * The value that something in the message stands for. Called in the message's order.
   *
   * @throws `INVALID_ARGUMENT` where the body holds no such bytes, or they are no UTF-8
   */
  value(raw: unknown): Value
  /** @throws `INVALID_ARGUMENT` where the body holds more than the message speaks of */
  end(): void
}

/**
 * Takes a body apart.
 *
 * @throws `INVALID_ARGUMENT` for what does not begin with a line of JSON
 */
export function readFrame(body: Uint8Array): Frame {
  const newline = body.indexOf(NEWLINE)
  let at = newline < 0 ? body.length : newline + 1
  return {
    message: parse(body.subarray(0, at)),
    value(raw) {
      if (typeof raw === 'string') return raw
      const { text, bytes } = (raw ?? {}) as { text?: number; bytes?: number }
      const from = at
      at += (text ?? bytes)!
      // False for what is no number, too.
      if (!(Number.isInteger(at) && at >= from && at <= body.length)) {
        throw invalid('A value must be text, or the length of what follows')
      }
      const found = body.slice(from, at)
      return text === undefined ? found : decode(found)
    },
    end() {
      if (at !== body.length) throw invalid('The body must end with the last value')
    },
  }
}

function parse(line: Uint8Array): unknown {
  const text = decode(line)
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw invalid('The body must begin with a line of JSON')
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw invalid('Text must be UTF-8')
  }
}
