/** What a person does on the page, by what is to be read there. */
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import type { AxeResults } from 'axe-core'
import type { ElementHandle, Page } from 'puppeteer-core'

const PHOTO = resolve(import.meta.dirname, 'photo.png')
const SCREENSHOTS = resolve(import.meta.dirname, '../../../build/screenshots')
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Presses a button. */
export async function press(page: Page, name: string): Promise<void> {
  await page.locator(`aria/${name}[role="button"]`).click()
}

/** Waits until the page shows a text, also where it is hidden: that has no animation frames to look in. */
export async function sees(page: Page, text: string, timeout = 20_000): Promise<void> {
  await page
    .waitForFunction((wanted) => document.body.innerText.includes(wanted), { timeout, polling: 100 }, text)
    .catch(async () => {
      const shown = await page.evaluate(() => document.body.innerText)
      throw new Error(`The page does not show ${text}, but:\n${shown}`)
    })
}

/** Fills in the form but for the photos. */
export async function fillIn(page: Page, site: string): Promise<void> {
  await page.locator('aria/Site[role="textbox"]').fill(site)
  await page.locator('aria/Inspector[role="textbox"]').fill('Ada')
  await page.locator('aria/Temperature in °C[role="spinbutton"]').fill('21.5')
  await page.locator('aria/Worn[role="radio"]').click()
  await page.locator('aria/Notes[role="textbox"]').fill('Rust at the third bolt')
}

/** Attaches the photo. */
export async function attach(page: Page): Promise<void> {
  const input = (await page.$('#photo')) as ElementHandle<HTMLInputElement>
  await input.uploadFile(PHOTO)
  await sees(page, 'photo.png')
}

/** Has the browser ask for files, and chooses the photo. */
export async function choose(page: Page, ask: () => Promise<void>): Promise<void> {
  const asked = page.waitForFileChooser()
  // Only when the page has painted once more is the browser sure to hand the question over.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)))
  await ask()
  const chooser = await asked
  await chooser.accept([PHOTO])
}

/** The inspection's log as it is shown, one line an entry, without times. */
export const log = (page: Page): Promise<string[]> =>
  page.$$eval('.timeline .what', (items) => items.map((item) => item.textContent.trim()))

/** Goes on by the Tab key, and tells the name of what has the focus then. */
export async function tab(page: Page): Promise<string> {
  await page.keyboard.press('Tab')
  return page.evaluate(() => {
    const focused = document.activeElement
    const label =
      focused instanceof HTMLInputElement || focused instanceof HTMLTextAreaElement ? focused.labels?.[0] : null
    const text = label ?? focused
    return (focused?.ariaLabel ?? text?.textContent ?? '').trim().replaceAll(/\s+/g, ' ')
  })
}

/** How much of the page has moved by itself, as browsers count it: up to 0.1 counts as good. */
export const shifts = (page: Page): Promise<number> =>
  page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0
        const observer = new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
            if (!entry.hadRecentInput) sum += entry.value
          }
        })
        observer.observe({ type: 'layout-shift', buffered: true })
        setTimeout(() => resolve(sum), 200)
      }),
  )

/** How far the page is wider than its window, in CSS pixels. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth)

/** Why the browser would not install the page as an app. */
export async function installTrouble(page: Page): Promise<string[]> {
  const session = await page.createCDPSession()
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors')
  await session.detach()
  return installabilityErrors.map((error) => error.errorId)
}

/** What axe finds wrong with the page. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { readonly axe: { run(): Promise<AxeResults> } }
    const { violations: found } = await axe.run()
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
  })
}

/** Takes pictures of the whole page: on a phone and on a desk, light and dark. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  // A tab that is not looked at paints nothing.
  await page.bringToFront()
  const before = page.viewport()
  for (const [screen, width, height] of [
    ['phone', 360, 740],
    ['desk', 1280, 900],
  ] as const) {
    for (const scheme of ['light', 'dark']) {
      await page.setViewport({ width, height })
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${screen}-${scheme}.png`), fullPage: true })
    }
  }
  await page.emulateMediaFeatures([])
  await page.setViewport(before)
}
