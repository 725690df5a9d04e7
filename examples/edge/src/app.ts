/**
 * Webhook intake: every delivery becomes a durable run that hands it over to the subscribers. One fetch handler and one
 * function that advances what is due; where they run, and where the deliveries are kept, is up to `worker.ts` and
 * `deno.ts`.
 */
import { Hono } from 'hono'
import { type Driver, createHoldfast } from 'holdfast'
import { createApi } from './api.ts'
import { type Intake, type IntakeOptions, createIntake } from './intake.ts'
import { createPages } from './pages.ts'
import type { Settings } from './settings.ts'

/** Options of the application. */
export interface AppOptions extends Settings, Pick<IntakeOptions, 'wake'> {
  readonly driver: Driver
  /** Sends requests to subscribers; the global `fetch` by default. */
  readonly fetch?: typeof fetch
}

/** The application. */
export interface App extends Pick<Intake, 'deliver' | 'advance'> {
  fetch(request: Request): Promise<Response>
  close(): Promise<void>
}

/** Creates the application. This is cheap and does no I/O, so each request can have its own. */
export function createApp({ driver, token, fetch: send = (...args) => fetch(...args), ...options }: AppOptions): App {
  const holdfast = createHoldfast({ driver })
  const intake = createIntake({ holdfast, fetch: send, ...options })
  const routes = new Hono().route('/api', createApi(intake, token)).route('/', createPages(intake, token))
  return {
    fetch: async (request) => routes.fetch(request),
    deliver: intake.deliver,
    advance: intake.advance,
    close: holdfast.close,
  }
}
