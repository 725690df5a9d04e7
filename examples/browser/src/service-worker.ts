/** Caches the files of the page, so that the page opens offline. @module */

declare const self: ServiceWorkerGlobalScope
/** The built files, and a name for their content. vite/precache.ts inserts both. */
declare const PRECACHE: { readonly version: string; readonly files: readonly string[] }

const PREFIX = 'holdfast-inspections '
const CACHE = PREFIX + PRECACHE.version

self.addEventListener('install', (event) => {
  event.waitUntil(keep())
})
self.addEventListener('activate', (event) => {
  event.waitUntil(Promise.all([forget(), self.clients.claim()]))
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  // The workflow handles requests to the server.
  if (request.method === 'GET' && new URL(request.url).origin === self.location.origin) {
    event.respondWith(answer(request))
  }
})

async function keep(): Promise<void> {
  const cache = await caches.open(CACHE)
  // Bypasses the browser's own cache, which may hold files of another build.
  await cache.addAll(PRECACHE.files.map((file) => new Request(file, { cache: 'reload' })))
}

async function forget(): Promise<void> {
  const names = await caches.keys()
  await Promise.all(
    names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
  )
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  // Servers that vary by Origin would make a module, which is asked for with one, another file than the one kept.
  const kept = await cache.match(request.mode === 'navigate' ? './' : request, { ignoreSearch: true, ignoreVary: true })
  return kept ?? fetch(request)
}
