/**
 * The application as a Cloudflare Worker. By default it lives in one Durable Object, which is woken by its alarm; with
 * `STORE` set to `d1`, `upstash` or `postgres` it lives in every request, and the cron trigger advances what is due.
 */
import { DurableObject } from 'cloudflare:workers'
import type { Driver } from 'holdfast'
import { d1 } from 'holdfast/d1'
import { durableObject, scheduleAlarm } from 'holdfast/durable-object'
import { type App, createApp } from './app.ts'
import { settingsOf } from './settings.ts'
import { type StoreSettings, networkStore } from './stores.ts'

interface Env extends StoreSettings {
  readonly INTAKE: DurableObjectNamespace<IntakeObject>
  readonly DB: D1Database
  readonly STORE: string
}

/** The most rounds of ready work per cron trigger. */
const MOST_ROUNDS = 20

/** The one Durable Object that stores and processes the deliveries. */
export class IntakeObject extends DurableObject<Env> {
  readonly #app: App

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const { storage } = ctx
    const wake = async (): Promise<void> => void (await scheduleAlarm(storage, Date.now()))
    this.#app = createApp({ ...settingsOf(env), driver: durableObject({ storage }), wake })
  }

  override fetch(request: Request): Promise<Response> {
    return this.#app.fetch(request)
  }

  /** The runtime calls this again if it fails. */
  override alarm(): Promise<void> {
    return this.advance()
  }

  /** Works on ready deliveries, and sets the alarm for the rest. */
  async advance(): Promise<void> {
    await scheduleAlarm(this.ctx.storage, await this.#app.advance())
  }
}

const objectOf = ({ INTAKE }: Env): DurableObjectStub<IntakeObject> => INTAKE.get(INTAKE.idFromName('intake'))

/** Creates an application for one request: requests must not share objects that do I/O. */
function appOf(env: Env, ctx: ExecutionContext): App {
  const driver: Driver = env.STORE === 'd1' ? d1({ db: env.DB }) : networkStore(env.STORE, env)
  const app = createApp({ ...settingsOf(env), driver, wake: (id) => ctx.waitUntil(app.deliver(id)) })
  return app
}

const worker: ExportedHandler<Env> = {
  fetch: (request, env, ctx) =>
    env.STORE === 'durable-object' ? objectOf(env).fetch(request) : appOf(env, ctx).fetch(request),

  async scheduled(_, env, ctx) {
    // A fallback for the alarm. It also deletes old deliveries.
    if (env.STORE === 'durable-object') return objectOf(env).advance()
    const app = appOf(env, ctx)
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const next = await app.advance()
      if (next === undefined || next > Date.now()) return
    }
  },
}

// oxlint-disable-next-line import/no-default-export -- This is where workerd looks for it.
export default worker
