import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { part } from '../support/parts.ts'
import {
  attach,
  choose,
  fillIn,
  installTrouble,
  log,
  overflow,
  picture,
  press,
  sees,
  shifts,
  tab,
  violations,
} from './browser/hands.ts'
import { type Device, type Site, buildSite, device, serve } from './browser/site.ts'

describe.skipIf(!part('chromium'))('browser example', { timeout: 180_000 }, () => {
  let site: Site
  let phone: Device

  beforeAll(async () => {
    await buildSite()
  })
  beforeEach(async () => {
    site = await serve()
    phone = await device()
  })
  afterEach(async () => {
    await phone.end()
    await site.stop()
  })

  test('an inspection survives reload, offline, the end of its tab and the death of the browser', async () => {
    const { url, port } = site
    let page = await phone.newPage()
    await page.goto(url)
    await sees(page, 'Works offline')
    expect(await installTrouble(page)).toEqual([])
    await fillIn(page, 'Pier 4')
    await attach(page)
    await sees(page, 'Draft saved')
    await picture(page, 'draft')

    // From here on there is neither a network nor a server.
    await page.setOfflineMode(true)
    await site.stop()
    await page.reload()
    await sees(page, 'Offline')
    await sees(page, 'photo.png')
    expect(await page.$eval('#notes', (it) => (it as HTMLTextAreaElement).value)).toBe('Rust at the third bolt')
    await press(page, 'Start inspection')
    await sees(page, 'Can be withdrawn until')

    // Another tab goes on where the first one is closed.
    const first = await page.$eval('#tab', (it) => it.textContent)
    const other = await phone.newPage()
    await other.goto(url)
    await other.setOfflineMode(true)
    const second = await other.$eval('#tab', (it) => it.textContent)
    expect(second).not.toBe(first)
    await page.close()
    page = other
    await sees(page, 'Needs approval')
    expect(await log(page)).toEqual([
      `Measurements 21.5 °C, within limits; condition: worn (by tab ${first})`,
      `Photos 1 checked (by tab ${first})`,
      expect.stringContaining('Second thoughts Can be withdrawn until'),
      'Second thoughts The time is over',
      'Approval Waits for a decision',
    ])
    await picture(page, 'approval')

    await page.locator('aria/Name[role="textbox"]').fill('Grace')
    await press(page, 'Approve')
    await sees(page, 'The server cannot be reached: tried')
    await picture(page, 'offline')

    await phone.kill()
    await phone.start()
    page = await phone.newPage()
    // Still without a server: the browser opens it from what it keeps.
    await page.goto(url)
    await sees(page, 'The server cannot be reached: tried')

    site = await serve(port)
    await sees(page, 'Received, ', 40_000)
    await sees(page, 'Sent')
    const third = await page.$eval('#tab', (it) => it.textContent)
    const entries = await log(page)
    expect(entries).toEqual([
      `Measurements 21.5 °C, within limits; condition: worn (by tab ${first})`,
      `Photos 1 checked (by tab ${first})`,
      expect.stringContaining('Second thoughts Can be withdrawn until'),
      'Second thoughts The time is over',
      'Approval Waits for a decision',
      'Approval Approved by Grace',
      expect.stringContaining('Report The server cannot be reached: tried'),
      expect.stringMatching(`Report Received, \\d+ bytes \\(by tab ${third}\\)`),
      'Inspection Done',
    ])
    await picture(page, 'sent')
    const received = await site.received()
    expect(received).toEqual([{ key: expect.any(String), bytes: expect.any(Number), times: 1 }])
  })

  test('the keyboard is enough, on a small screen too', async () => {
    const page = await phone.newPage()
    await page.setViewport({ width: 360, height: 740 })
    await page.goto(site.url)
    await sees(page, 'None yet')
    expect(await violations(page)).toEqual([])

    expect(await tab(page)).toBe('Site')
    await page.keyboard.type('Mast 12')
    expect(await tab(page)).toBe('Inspector')
    await page.keyboard.type('Ada')
    expect(await tab(page)).toBe('Temperature in °C')
    await page.keyboard.type('64')
    expect(await tab(page)).toBe('Good')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    expect(await tab(page)).toBe('Notes')
    expect(await tab(page)).toBe('Photos')
    await choose(page, () => page.keyboard.press('Enter'))
    await sees(page, 'photo.png')
    expect(await tab(page)).toBe('Remove photo photo.png')
    expect(await tab(page)).toBe('Start inspection')
    await page.keyboard.press('Enter')
    await sees(page, 'Needs approval')
    expect(await violations(page)).toEqual([])

    expect(await tab(page)).toMatch(/^Mast 12 Needs approval/)
    await page.keyboard.press('Enter')
    expect(await tab(page)).toBe('Name')
    await page.keyboard.type('Grace')
    await page.keyboard.press('Enter')
    await sees(page, 'Received, ')
    expect(await log(page)).toContainEqual(expect.stringContaining('64 °C, too hot; condition: unsafe'))
    expect(await page.$eval('#news', (it) => it.textContent)).toBe('Mast 12: Sent, 5 of 5 steps done')
    expect(await violations(page)).toEqual([])
    expect(await overflow(page)).toBe(0)
    expect(await shifts(page)).toBeLessThan(0.05)

    expect(await tab(page)).toBe('Remove')
    await page.keyboard.press('Enter')
    await sees(page, 'None yet')
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('site')
  })

  test('two tabs show the same, whichever of them something is done in', async () => {
    const [left, right] = [await phone.newPage(), await phone.newPage()]
    await left.goto(site.url)
    await right.goto(site.url)
    await left.bringToFront()
    await fillIn(left, 'Lock 3')
    await sees(left, 'Draft saved')
    await right.waitForFunction(
      () => (document.getElementById('notes') as HTMLTextAreaElement).value.endsWith('bolt'),
      {
        polling: 100,
      },
    )

    await right.bringToFront()
    await press(right, 'Start inspection')
    await sees(left, 'Can be withdrawn until')
    await left.bringToFront()
    await press(left, 'Withdraw')
    await sees(right, 'Withdrawn')

    await fillIn(left, 'Lock 4')
    await press(left, 'Start inspection')
    await sees(right, 'Needs approval')
    await right.bringToFront()
    await right.locator('.run ::-p-text(Lock 4)').click()
    await right.waitForSelector('#decision-fields:enabled')
    await right.locator('aria/Name[role="textbox"]').fill('Grace')
    await press(right, 'Send back')
    await sees(left, 'Sent back by the supervisor')
    expect(await site.received()).toEqual([])
    expect(await left.$eval('#trouble', (it) => it.textContent)).toBe('')
    expect(await right.$eval('#trouble', (it) => it.textContent)).toBe('')
  })
})
