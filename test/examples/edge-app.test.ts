/** What the edge example takes and refuses, and what operators can do: by its fetch handler, over memory. */
import { memory } from 'holdfast'
import { describe, expect, test } from 'vitest'
import { MAX_BODY } from '../../examples/edge/src/api.ts'
import { type App, createApp } from '../../examples/edge/src/app.ts'
import { settingsOf } from '../../examples/edge/src/settings.ts'

const TOKEN = 'a-token-of-the-tests'
const ORIGIN = 'https://intake.example'
const BEARER = { authorization: `Bearer ${TOKEN}` }
const BASIC = { authorization: `Basic ${btoa(`operator:${TOKEN}`)}` }
const WEBHOOK = { ...BEARER, 'content-type': 'application/json', 'webhook-id': 'd-1' }

interface Subscriber {
  answer: number
  readonly got: { readonly headers: Headers; readonly body: string; readonly url: string }[]
}

/** The application with two subscribers, of which the first fails as told. */
function setUp(options: Partial<Parameters<typeof createApp>[0]> = {}) {
  const woken: string[] = []
  const subscribers: Record<string, Subscriber> = {
    billing: { answer: 200, got: [] },
    audit: { answer: 200, got: [] },
  }
  const app = createApp({
    driver: memory(),
    token: TOKEN,
    subscribers: { billing: `${ORIGIN}/billing`, audit: `${ORIGIN}/audit` },
    retry: { maxAttempts: 3, initialDelay: 3_600_000 },
    retention: 60_000,
    wake: (id) => void woken.push(id),
    async fetch(input, init) {
      const request = new Request(input, init)
      const { answer, got } = subscribers[new URL(request.url).pathname.slice(1)]!
      got.push({ headers: request.headers, body: await request.text(), url: request.url })
      return new Response(null, { status: answer })
    },
    ...options,
  })
  return { app, woken, billing: subscribers['billing']!, audit: subscribers['audit']! }
}

const ask = (app: App, path: string, init: RequestInit = {}): Promise<Response> =>
  app.fetch(new Request(ORIGIN + path, { headers: BEARER, ...init }))

const deliver = (
  app: App,
  body: string | Uint8Array = '{"a": 1}',
  headers: Record<string, string> = WEBHOOK,
): Promise<Response> => ask(app, '/api/deliveries', { method: 'POST', headers, body })

const act = (app: App, what: string): Promise<Response> => ask(app, `/api/deliveries/d-1/${what}`, { method: 'POST' })

interface Shown {
  readonly status: string
  readonly left: string[]
  readonly events: { readonly kind: string; readonly stepId?: string; readonly payload?: unknown }[]
}
const show = async (app: App): Promise<Shown> => (await ask(app, '/api/deliveries/d-1')).json() as Promise<Shown>

/** A body that tells whether anybody has begun to read it. */
function watchedBody() {
  let isRead = false
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        isRead = true
        controller.enqueue(new Uint8Array(65_536))
      },
    },
    { highWaterMark: 0 },
  )
  return { body, isRead: () => isRead }
}

describe('the API of the edge example', () => {
  test.each([
    ['nothing', {}, 401],
    ['another token', { authorization: 'Bearer another-token-of-same' }, 401],
    ['a longer token', { authorization: `Bearer ${TOKEN}x` }, 401],
    ['what is no token', { authorization: 'Bearer ' }, 400],
    ['an operator of the pages', BASIC, 400],
  ])('refuses whoever brings %s before it reads the body', async (_, headers, status) => {
    const { app, woken } = setUp()
    const { body, isRead } = watchedBody()
    const init = { method: 'POST', headers: { 'webhook-id': 'd-1', ...headers }, body, duplex: 'half' } as RequestInit
    const response = await app.fetch(new Request(`${ORIGIN}/api/deliveries`, init))
    expect(response.status).toBe(status)
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/)
    expect(isRead()).toBe(false)
    expect(woken).toEqual([])
    expect((await ask(app, '/api/deliveries', { headers })).status).toBe(status)
  })

  test('takes a delivery once, and hands it over as it came', async () => {
    const { app, woken, billing, audit } = setUp()
    const body = '{"note": "ä 😀 \u2028", "n": 1.0}'
    const first = await deliver(app, body)
    expect([first.status, first.headers.get('location')]).toEqual([202, '/api/deliveries/d-1'])
    expect(await first.json()).toEqual({ id: 'd-1', status: 'pending', duplicate: false })
    const again = await deliver(app, body)
    expect([again.status, await again.json()]).toEqual([200, { id: 'd-1', status: 'pending', duplicate: true }])
    expect(woken).toEqual(['d-1', 'd-1'])
    expect(await app.advance()).toBeUndefined()
    for (const { got } of [billing, audit]) expect(got.map((it) => it.body)).toEqual([body])
    const { headers } = billing.got[0]!
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/json',
      'idempotency-key': 'd-1/billing',
      'webhook-id': 'd-1',
      'webhook-attempt': '1',
    })
    expect(headers.has('authorization')).toBe(false)
    expect(await (await deliver(app, body)).json()).toEqual({ id: 'd-1', status: 'completed', duplicate: true })
    expect((await deliver(app, '{}')).status).toBe(409)
    expect((await deliver(app, body, { ...WEBHOOK, 'content-type': 'text/plain' })).status).toBe(409)
    expect(await app.advance()).toBeUndefined()
    expect(billing.got).toHaveLength(1)
  })

  test.each([undefined, '', 'a b', '-a', 'a/b', '<script>', 'é', 'a'.repeat(129)])('refuses the id %s', async (id) => {
    const { app } = setUp()
    // What no header can hold comes as a path.
    const isHeader = id === undefined || /^[\x20-\x7e]*$/.test(id)
    const { 'webhook-id': _, ...others } = WEBHOOK
    const response = isHeader
      ? await deliver(app, '{}', { ...others, ...(id !== undefined && { 'webhook-id': id }) })
      : await ask(app, `/api/deliveries/${encodeURIComponent(id)}`)
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    ])
  })

  test('bounds bodies, also of unknown length, and takes UTF-8 only', async () => {
    const { app } = setUp()
    expect((await deliver(app, 'a'.repeat(MAX_BODY))).status).toBe(202)
    expect((await deliver(app, 'a'.repeat(MAX_BODY + 1), { ...WEBHOOK, 'webhook-id': 'd-2' })).status).toBe(413)
    const { body } = watchedBody()
    const endless = new Request(`${ORIGIN}/api/deliveries`, {
      method: 'POST',
      headers: { ...WEBHOOK, 'webhook-id': 'd-3' },
      body,
      duplex: 'half',
    })
    expect((await app.fetch(endless)).status).toBe(413)
    const latin = new Uint8Array([0x22, 0xe4, 0x22])
    expect((await deliver(app, latin, { ...WEBHOOK, 'webhook-id': 'd-4' })).status).toBe(400)
    const { items } = (await (await ask(app, '/api/deliveries')).json()) as { items: { id: string }[] }
    expect(items.map(({ id }) => id)).toEqual(['d-1'])
  })

  test.each(['/api/deliveries?status=odd', '/api/deliveries?cursor=%00', '/api/deliveries/%2e%2e%2f'])(
    'refuses %s',
    async (path) => expect((await ask(setUp().app, path)).status).toBe(400),
  )

  test('does not find what is not there', async () => {
    const { app } = setUp()
    expect((await ask(app, '/api/deliveries/d-1')).status).toBe(404)
    for (const what of ['cancel', 'pause', 'resume', 'again', 'skip/billing'])
      expect((await act(app, what)).status).toBe(404)
    expect((await ask(app, '/api/nowhere')).status).toBe(404)
  })

  test('tries a subscriber again after a while, and not the others', async () => {
    const { app, billing, audit } = setUp()
    billing.answer = 503
    await deliver(app)
    const next = await app.advance()
    expect(next).toBeGreaterThan(Date.now() + 3_500_000)
    expect(await show(app)).toMatchObject({ status: 'waiting', left: ['billing'] })
    expect([billing.got.length, audit.got.length]).toEqual([1, 1])
  })

  test('follows no redirect: the body is for the subscriber alone', async () => {
    const { app, billing } = setUp()
    billing.answer = 302
    await deliver(app)
    await app.advance()
    expect((await show(app)).left).toEqual(['billing'])
  })
})

describe('an operator of the edge example', () => {
  test('has a subscriber skipped', async () => {
    const { app, billing } = setUp()
    billing.answer = 503
    await deliver(app)
    await app.advance()
    expect((await act(app, 'skip/audit')).status).toBe(409)
    expect((await act(app, 'skip/billing')).status).toBe(204)
    expect(await app.advance()).toBeUndefined()
    const { status, left, events } = await show(app)
    expect([status, left]).toEqual(['completed', []])
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'step.completed',
        stepId: 'hand over to billing',
        payload: { skippedBy: 'api' },
      }),
    )
    expect(billing.got).toHaveLength(1)
  })

  test('decides when all attempts are used up: it is tried again, or skipped', async () => {
    const { app, billing, audit } = setUp({ retry: { maxAttempts: 1 } })
    billing.answer = 503
    await deliver(app)
    await app.advance()
    expect(await show(app)).toMatchObject({ status: 'waiting', left: ['billing'] })
    expect((await act(app, 'again')).status).toBe(204)
    await app.advance()
    expect(billing.got).toHaveLength(2)
    expect(audit.got).toHaveLength(1)
    expect((await act(app, 'skip/billing')).status).toBe(204)
    await app.advance()
    expect(await show(app)).toMatchObject({ status: 'completed', left: [] })
    expect(billing.got).toHaveLength(2)
    expect((await act(app, 'again')).status).toBe(409)
  })

  test('pauses and resumes', async () => {
    const { app, billing } = setUp()
    await deliver(app)
    expect((await act(app, 'pause')).status).toBe(204)
    await app.advance()
    expect((await show(app)).status).toBe('paused')
    expect(billing.got).toEqual([])
    expect((await act(app, 'resume')).status).toBe(204)
    await app.advance()
    expect((await show(app)).status).toBe('completed')
    expect((await act(app, 'resume')).status).toBe(409)
  })

  test('takes a pause back that has not begun', async () => {
    const { app } = setUp()
    await deliver(app)
    await act(app, 'pause')
    expect((await act(app, 'resume')).status).toBe(204)
    await app.advance()
    expect((await show(app)).status).toBe('completed')
  })

  test('cancels', async () => {
    const { app, billing } = setUp()
    billing.answer = 503
    await deliver(app)
    await app.advance()
    expect((await act(app, 'cancel')).status).toBe(204)
    await app.advance()
    expect((await show(app)).status).toBe('cancelled')
    expect((await act(app, 'pause')).status).toBe(409)
    expect(billing.got).toHaveLength(1)
  })
})

describe('the pages of the edge example', () => {
  test('ask for the token', async () => {
    const { app } = setUp()
    for (const path of ['/', '/style.css', '/deliveries/d-1']) {
      const response = await app.fetch(new Request(ORIGIN + path, { headers: BEARER }))
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="intake"'])
    }
  })

  test('are escaped, and allow no script', async () => {
    const { app } = setUp()
    const evil = '</pre><script>alert(1)</script>"\'&'
    await deliver(app, evil, { ...WEBHOOK, 'content-type': 'text/<b>' })
    const response = await ask(app, '/deliveries/d-1', { headers: BASIC })
    const page = await response.text()
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(page).toContain('&lt;/pre&gt;&lt;script&gt;')
    expect(page).not.toContain('<script')
    expect(page).not.toContain('<b>')
    const list = await ask(app, '/?status=%22%3E%3Cscript%3E', { headers: BASIC })
    expect([list.status, await list.text()]).toEqual([400, expect.not.stringContaining('<script')])
  })

  test('take what their own forms send, and nothing from other sites', async () => {
    const { app } = setUp()
    await deliver(app)
    const press = (origin: string): Promise<Response> =>
      ask(app, '/deliveries/d-1/pause', {
        method: 'POST',
        headers: { ...BASIC, origin, 'content-type': 'application/x-www-form-urlencoded' },
      })
    expect((await press('https://evil.example')).status).toBe(403)
    const response = await press(ORIGIN)
    expect([response.status, response.headers.get('location')]).toEqual([303, '/deliveries/d-1'])
    await app.advance()
    expect((await show(app)).status).toBe('paused')
  })

  test('lead from page to page', async () => {
    const { app } = setUp()
    for (let i = 100; i < 151; i++) await deliver(app, '{}', { ...WEBHOOK, 'webhook-id': `d-${i}` })
    const first = await (await ask(app, '/', { headers: BASIC })).text()
    expect(first.match(/deliveries\/d-\d+/g)).toHaveLength(50)
    const next = /rel="next" href="([^"]+)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const second = await (await ask(app, next, { headers: BASIC })).text()
    expect(second.match(/deliveries\/d-\d+/g)).toEqual(['deliveries/d-150'])
    expect(second).not.toContain('rel="next"')
  })
})

describe('the edge example', () => {
  test('forgets what ended long ago, and only that', async () => {
    let later = 0
    const { app, billing } = setUp({ driver: memory({ clock: () => Date.now() + later }) })
    await deliver(app, '{}', { ...WEBHOOK, 'webhook-id': 'd-0' })
    await app.advance()
    billing.answer = 503
    await deliver(app)
    await app.advance()
    later = 120_000
    await app.advance()
    const { items } = (await (await ask(app, '/api/deliveries')).json()) as { items: { id: string }[] }
    expect(items.map(({ id }) => id)).toEqual(['d-1'])
  })

  test('works on one delivery when asked to', async () => {
    const { app, billing } = setUp()
    await deliver(app)
    await app.deliver('d-1')
    expect((await show(app)).status).toBe('completed')
    expect(billing.got).toHaveLength(1)
  })

  test.each([
    [{}, 'TOKEN'],
    [{ TOKEN: 'short' }, 'TOKEN'],
    [{ TOKEN, SUBSCRIBERS: '{' }, 'SUBSCRIBERS'],
    [{ TOKEN, SUBSCRIBERS: '{"a b":"https://a.example"}' }, 'SUBSCRIBERS'],
    [{ TOKEN, SUBSCRIBERS: '{"a":"ftp://a.example"}' }, 'SUBSCRIBERS'],
    [{ TOKEN, RETRY: '{"maxAttempts":0}' }, 'maxAttempts'],
    [{ TOKEN, RETENTION_DAYS: 'x' }, 'RETENTION_DAYS'],
  ])('refuses the settings %j', (env, named) => expect(() => settingsOf(env)).toThrow(named))

  test('has settings of its own', () => {
    expect(settingsOf({ TOKEN, SUBSCRIBERS: '{"a":"https://a.example/hook"}' })).toMatchObject({
      token: TOKEN,
      subscribers: { a: 'https://a.example/hook' },
      retention: 30 * 86_400_000,
    })
  })
})
