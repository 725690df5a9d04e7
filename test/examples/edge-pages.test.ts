/** The pages of the edge example in Chromium, served by workerd. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import type { Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWorkerd } from '../../examples/edge/local/workerd.ts'
import { part } from '../support/parts.ts'
import { overflow, picture, press, sees, tab, violations } from './browser/hands.ts'
import { type Device, device } from './browser/site.ts'

const TOKEN = 'a-token-of-the-tests'
const HEADERS = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }

describe.skipIf(!part('chromium'))('the pages of the edge example', { timeout: 180_000 }, () => {
  const data = mkdtempSync(join(tmpdir(), 'holdfast-edge-'))
  /** One that takes everything, one that takes nothing. */
  const subscribers = createServer((request, response) => {
    // Once all of the request is there: who answers before may cut off what is still being sent.
    request.resume().once('end', () => response.writeHead(request.url === '/billing' ? 200 : 503).end())
  })
  let worker: Miniflare
  let desk: Device
  let url: string
  const troubles: string[] = []

  const post = (path: string, id: string, body = '{}'): Promise<Response> =>
    fetch(`${url}/api/deliveries${path}`, { method: 'POST', headers: { ...HEADERS, 'webhook-id': id }, body })
  const deliver = (id: string, body?: string): Promise<Response> => post('', id, body)

  async function until(id: string, status: string): Promise<void> {
    for (let is = ''; is !== status;) {
      const response = await fetch(`${url}/api/deliveries/${id}`, { headers: HEADERS })
      is = ((await response.json()) as { status: string }).status
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async function open(path: string): Promise<Page> {
    const page = await desk.newPage()
    page.on('console', (message) => troubles.push(message.text()))
    page.on('pageerror', (error) => troubles.push(String(error)))
    await page.authenticate({ username: 'operator', password: TOKEN })
    await page.goto(url + path)
    return page
  }

  beforeAll(async () => {
    await new Promise<void>((done) => subscribers.listen(0, '127.0.0.1', done))
    const { port } = subscribers.address() as { readonly port: number }
    const at = `http://127.0.0.1:${port}`
    worker = await startWorkerd({
      port: 0,
      data,
      vars: {
        TOKEN,
        SUBSCRIBERS: JSON.stringify({ billing: `${at}/billing`, audit: `${at}/audit` }),
        RETRY: JSON.stringify({ maxAttempts: 2, initialDelay: 3_600_000 }),
      },
    })
    url = (await worker.ready).origin
    desk = await device()
  })
  afterAll(async () => {
    await desk.end()
    await worker.dispose()
    subscribers.close()
    rmSync(data, { recursive: true, force: true })
  })

  test('list deliveries, and show what happened to one of them', async () => {
    const list = await open('/')
    await sees(list, 'None yet')
    await deliver(
      'order-17:paid',
      JSON.stringify({ order: 17, note: '</pre><script>document.title = "owned"</script>' }),
    )
    await until('order-17:paid', 'waiting')
    for (const id of ['order-18:paid', 'order-19:paid', `${'long-'.repeat(20)}id`]) await deliver(id)
    await until('order-19:paid', 'waiting')
    await post('/order-19:paid/pause', '')
    await until('order-19:paid', 'paused')
    await post('/order-18:paid/cancel', '')
    await until('order-18:paid', 'cancelled')
    await list.reload()
    for (const text of ['order-17:paid', 'waiting', 'paused', 'cancelled']) await sees(list, text)
    expect(await violations(list)).toEqual([])
    await picture(list, 'edge-list')

    await list.locator('a ::-p-text(order-17:paid)').click()
    await sees(list, 'audit, attempt 1: It answered 503; again at')
    await sees(list, 'billing took it, 200')
    expect(await list.title()).toBe('order-17:paid · Webhook intake')
    expect(await violations(list)).toEqual([])
    await picture(list, 'edge-delivery')
    for (const path of ['/', '/deliveries/order-17:paid', `/deliveries/${'long-'.repeat(20)}id`]) {
      await list.setViewport({ width: 360, height: 740 })
      await list.goto(url + path)
      expect(await overflow(list)).toBe(0)
    }
    expect(troubles).toEqual([])
  })

  test('have all that is needed within reach of the keyboard', async () => {
    await deliver('order-20:paid')
    await until('order-20:paid', 'waiting')
    const page = await open('/deliveries/order-20:paid')
    expect(await tab(page)).toBe('Webhook intake')
    expect(await tab(page)).toBe('Pause')
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
    await until('order-20:paid', 'paused')
    await page.reload()
    await sees(page, 'paused')
    await Promise.all([page.waitForNavigation(), press(page, 'Resume')])
    await until('order-20:paid', 'waiting')
    await page.reload()
    for (const name of ['Webhook intake', 'Pause', 'Cancel', 'Look again', 'Skip audit'])
      expect(await tab(page)).toBe(name)
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
    await until('order-20:paid', 'completed')
    await page.reload()
    await sees(page, 'audit was skipped by operator')
    await picture(page, 'edge-skipped')
    expect(await violations(page)).toEqual([])
    expect(troubles).toEqual([])
  })
})
