/** Requests that hold more than the quota has room for: refused whole, and known to be. */
import puppeteer from 'puppeteer-core'
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import { CHROMIUM_FLAGS, firefoxWith } from './engines.ts'
import type { QuotaReport } from './programs/quota.ts'
import { serve } from './server.ts'
import { gather } from './session.ts'

const PATIENCE = 120_000
const QUOTA = 12 * 2 ** 20

function expectRefused({ error, refusals, isOpen }: QuotaReport): void {
  expect(error).toBeUndefined()
  const told = { code: 'QUOTA_EXCEEDED', ambiguous: false, written: [] }
  expect(refusals).toEqual(
    ['a long value', 'a long value among others', 'many values'].map((what) => ({ what, ...told })),
  )
  expect(isOpen).toBe(true)
}

describe('what is too large for the quota is refused with all of its request', { timeout: PATIENCE + 20_000 }, () => {
  it.skipIf(!part('chromium'))('in Chromium', async () => {
    let onReport: (report: QuotaReport) => void
    const reported = new Promise<QuotaReport>((resolve) => (onReport = resolve))
    const server = await serve('quota', (report: QuotaReport) => onReport(report))
    const browser = await puppeteer.launch({ executablePath: part('chromium')!, args: [...CHROMIUM_FLAGS] })
    try {
      const page = await (await browser.createBrowserContext()).newPage()
      const tools = await page.createCDPSession()
      const { origin } = new URL(server.url)
      await tools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: QUOTA })
      await page.goto(server.url)
      expectRefused(await reported)
    } finally {
      await browser.close()
      await server.close()
    }
  })

  it.skipIf(!part('firefox'))('in Firefox', async () => {
    // In KiB, of which an origin gets a fifth.
    const engine = firefoxWith({ 'dom.quotaManager.temporaryStorage.fixedLimit': (5 * QUOTA) / 1024 })
    const [report] = await gather<QuotaReport>(engine, 'quota', { reports: 1, patience: PATIENCE })
    expectRefused(report!)
  })
})
