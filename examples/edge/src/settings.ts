/** What the environment says, checked: variables of a Worker, or of a process. */
import { type RetryPolicy, nextRetry } from 'holdfast'

/** What is set by whoever deploys it. */
export interface Settings {
  /** What senders and operators have to know. */
  readonly token: string
  /** Addresses by name. */
  readonly subscribers: Readonly<Record<string, string>>
  /** How often a subscriber is tried. */
  readonly retry: RetryPolicy
  /** For how long a delivery is kept after its end, in milliseconds. */
  readonly retention: number
}

/** Within 29 hours at the most, and half of that on average. */
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
 * @throws where one is malformed; its value is not told
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
    // Told below.
  }
  throw new Error(`${name} must be an object, as JSON`)
}
