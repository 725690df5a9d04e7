/** The storage of an origin in Chromium, moved by its own tools: buckets, the quota, and data that the browser takes away. */
import puppeteer, { type Browser, type CDPSession, type Page } from 'puppeteer-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import { CHROMIUM_FLAGS } from './engines.ts'
import type { Actions } from './programs/storage.ts'
import { type Server, serve } from './server.ts'

const QUOTA = 20 * 2 ** 20

describe.skipIf(!part('chromium'))('Chromium: storage', () => {
  let server: Server
  let browser: Browser
  let page: Page
  let tools: CDPSession

  beforeAll(async () => {
    server = await serve('storage', () => undefined)
    browser = await puppeteer.launch({ executablePath: part('chromium')!, args: [...CHROMIUM_FLAGS] })
  })
  afterAll(async () => {
    await browser.close()
    await server.close()
  })
  beforeEach(async () => {
    page = await (await browser.createBrowserContext()).newPage()
    await page.goto(server.url)
    await page.waitForFunction('globalThis.actions')
    tools = await page.createCDPSession()
  })

  /** Has the page do something. */
  const act = <A extends keyof Actions>(action: A) =>
    page.evaluate(`actions[${JSON.stringify(action)}]()`) as Promise<Awaited<ReturnType<Actions[A]>>>

  it('keeps what is stored in a bucket there', async () => {
    expect(await act('keepInBucket')).toEqual({ value: 'kept', outside: [] })
  })

  it('that is full is told with usage and quota, and nothing is torn', async () => {
    const origin = new URL(server.url).origin
    await tools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: QUOTA })
    const { code, details, ambiguous, stored, isWhole } = await act('fill')
    expect({ code, ambiguous, isWhole }).toEqual({ code: 'QUOTA_EXCEEDED', ambiguous: false, isWhole: true })
    // What Chromium tells a page of its quota is more than it has, so that nobody is recognised by it.
    expect(details).toEqual({ usage: expect.any(Number), quota: expect.any(Number) })
    expect((details as { usage: number }).usage).toBeGreaterThanOrEqual(stored! * 2 ** 20)
    expect(stored).toBeGreaterThan(0)
    expect(stored).toBeLessThan(QUOTA / 2 ** 20)
    await tools.send('Storage.overrideQuotaForOrigin', { origin })
  })

  it('that the browser has taken away is told of by every call, and begun anew when the driver is opened again', async () => {
    const epoch = await act('begin')
    expect(await act('look')).toEqual({ value: 'v', evicted: [], epoch })
    await tools.send('Storage.clearDataForOrigin', { origin: new URL(server.url).origin, storageTypes: 'indexeddb' })
    for (const _ of [1, 2]) expect(await act('fail')).toEqual(Array(3).fill('CLOSED true'))
    await act('openAgain')
    const found = await act('look')
    expect(found.epoch).not.toBe(epoch)
    expect(found).toEqual({ value: undefined, evicted: [found.epoch], epoch: found.epoch })
  })
})
