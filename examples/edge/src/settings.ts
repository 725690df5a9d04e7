/** Reads and checks the settings: the variables of a Worker, or of a process. */
import { type RetryPolicy, nextRetry } from 'holdfast'

/** The settings of a deployment. */
export interface Settings {
  /** The token of senders and operators. */
  readonly token: string
  /** Addresses by name. */
  readonly subscribers: Readonly<Record<string, string>>
  /** The retry policy for each subscriber. */
  readonly retry: RetryPolicy
  /** How long a delivery is kept after its end, in milliseconds. */
  readonly retention: number
}

/** All attempts take at most 29 hours, and half of that on average. */
const RETRY: RetryPolicy = { maxAttempts: 15, initialDelay: 5000, factor: 3, maxDelay: 14_400_000, jitter: true }
const DAY = 86_400_000

const NAME = /^[a-z][a-z0-9-]{0,31}$/
const TOKEN = /^[A-Za-z0-9._~+/-]{16,}=*$/

/**
 * Reads the settings.
 *
 * | variable | holds |
 * | --- | --- |
 * | `TOKEN` | at least 16 letters, digits, and `. _ ~ + / -` |
 * | `SUBSCRIBERS` | addresses by name, as JSON: `{"billing":"https://billing.example/hook"}` |
 * | `RETRY` | a retry policy, as JSON |
 * | `RETENTION_DAYS` | 30 by default |
 *
 * @throws if a variable is malformed; the message does not show its value
 */
export function settingsOf(env: object): Settings {
  const read = (name: string): string | undefined => {
    const value: unknown = Reflect.get(env, name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const token = read('TOKEN') ?? ''
  if (!TOKEN.test(token)) throw new Error('TOKEN must be at least 16 letters, digits, and . _ ~ + / -')
  const subscribers = fromJson('SUBSCRIBERS', read('SUBSCRIBERS') ?? '{}') as Record<string, string>
  for (const [name, url] of Object.entries(subscribers)) {
    if (!NAME.test(name)) throw new Error('SUBSCRIBERS must be named by small letters, digits and -')
    if (!URL.canParse(url) || !/^https?:/.test(url)) throw new Error(`SUBSCRIBERS has no address for ${name}`)
  }
  const retry = fromJson('RETRY', read('RETRY') ?? JSON.stringify(RETRY)) as RetryPolicy
  nextRetry(retry, 1)
  const days = Number(read('RETENTION_DAYS') ?? 30)
  if (!(days >= 0)) throw new Error('RETENTION_DAYS must be a number from 0')
  return { token, subscribers, retry, retention: Math.round(days * DAY) }
}

function fromJson(name: string, text: string): object {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // The error below covers this.
  }
  throw new Error(`${name} must be an object, as JSON`)
}
