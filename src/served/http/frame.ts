/**
 * The format of request and answer bodies: one line of JSON, then the bytes it refers to, in the same order. See
 * docs/http-protocol.md.
 *
 * @module
 */
import type { Value } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'

/** The version of the protocol. */
export const VERSION = 1

/** The media type of every body. A browser asks the server (CORS) before it sends this type to another origin. */
export const MEDIA_TYPE = 'application/vnd.holdfast'

/** Longer text is sent after the JSON, and so is text that JSON would escape. */
const INLINE = 256
const ESCAPED = /["\\]|[^ -\uffff]/
const NEWLINE = 10

/** Writes a body. */
export interface FrameWriter {
  /** Adds a value. Returns its placeholder in the message. Call it in the order of the message. */
  value(value: Value): unknown
  /** Makes the body, for a message with all placeholders. */
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

/** A received body. */
export interface Frame {
  readonly message: unknown
  /**
   * Returns the value for a placeholder. Call it in the order of the message.
   *
   * @throws `INVALID_ARGUMENT` if the body does not hold these bytes, or they are not UTF-8
   */
  value(raw: unknown): Value
  /** @throws `INVALID_ARGUMENT` if the body holds more bytes than the message refers to */
  end(): void
}

/**
 * Splits a body into message and bytes.
 *
 * @throws `INVALID_ARGUMENT` if it does not start with a line of JSON
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
      // Also false for anything but a number.
      if (!(Number.isInteger(at) && at >= from && at <= body.length)) {
        throw invalid('A value must be text, or the length of the bytes that follow')
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
