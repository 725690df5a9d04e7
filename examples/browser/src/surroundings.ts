/** Shows the state of the network and of the browser's storage. @module */
import type { IndexedDbDriver } from 'holdfast/indexeddb'
import { byId } from './dom.ts'
import { bytes } from './templates.ts'

/** Shows whether there is a network. */
export function showNetwork(): void {
  const badge = byId('network', HTMLElement)
  const show = (): void => {
    badge.textContent = navigator.onLine ? 'Online' : 'Offline'
    badge.className = `badge ${navigator.onLine ? 'good' : 'wait'}`
  }
  addEventListener('online', show)
  addEventListener('offline', show)
  show()
}

/** Makes the service worker cache the page, and shows when that is done. */
export async function showOfflineReady(): Promise<void> {
  // The development server has no built files to cache.
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return
  await navigator.serviceWorker.register('./service-worker.js')
  await navigator.serviceWorker.ready
  const badge = byId('offline-ready', HTMLElement)
  badge.textContent = 'Works offline'
  badge.classList.add('good')
}

/**
 * Asks the browser to keep the stored data when the button is clicked.
 *
 * @returns a function that shows how much is stored, and whether the browser promised to keep it; call it after changes
 */
export function storageDisplay(driver: IndexedDbDriver): () => Promise<void> {
  const meter = byId('usage', HTMLMeterElement)
  const button = byId('persist', HTMLButtonElement)

  async function show(): Promise<void> {
    const { usage = 0, quota, persisted } = await driver.durability()
    meter.max = quota ?? 1
    meter.value = quota === undefined ? 0 : usage
    byId('storage', HTMLElement).textContent = quota === undefined ? bytes(usage) : `${bytes(usage)} of ${bytes(quota)}`
    byId('kept', HTMLElement).textContent = persisted ? 'The browser keeps it' : 'The browser may delete it'
    button.disabled = persisted
  }

  button.addEventListener('click', async () => {
    await navigator.storage.persist()
    await show()
  })
  return show
}
