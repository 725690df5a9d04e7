/** Serves programs to browsers, on this machine only, and takes what they report. */
import { type IncomingMessage, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Takes what a program tells; what it returns is answered as JSON. */
export type OnReport = (report: never) => unknown

/** A program on its way to browsers: a page at `url` runs it, and so does a worker made of its script. */
export interface Server {
  readonly url: string
  close(): Promise<void>
}

/** Without these two headers browsers make their clocks coarse. */
const HEADERS = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** Opens the pages that are named after the address, each in a process of its own. */
const OPENER = `for (const url of new URLSearchParams(location.hash.slice(1)).getAll('open')) open(url, '', 'noopener')`

/**
 * Bundles a program and serves it.
 *
 * @param program - the name of one in `programs/`, without extension, or where another one is
 * @param onReport - called for every report
 */
export async function serve(program: string | URL, onReport: OnReport): Promise<Server> {
  const script = await bundle(program)
  const page = `<!doctype html><meta charset="utf-8"><title>holdfast</title><script>${OPENER}</script><script type="module" src="/program.js"></script>`
  const server = createServer((request, response) => {
    const answer = (type: string, body: string): void => {
      response.writeHead(200, { ...HEADERS, 'content-type': type, 'cache-control': 'no-store' })
      response.end(body)
    }
    const path = request.url?.split('?')[0]
    if (path === '/program.js') answer('text/javascript', script)
    else if (path === '/') answer('text/html', page)
    else if (path === '/report') {
      void take(request, onReport).then((reply) => answer('application/json', reply))
    } else {
      response.writeHead(404)
      response.end()
    }
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function take(request: IncomingMessage, onReport: OnReport): Promise<string> {
  const report = JSON.parse(await text(request)) as never
  return JSON.stringify((await onReport(report)) ?? null)
}

async function bundle(program: string | URL): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(program instanceof URL ? program : new URL(`programs/${program}.ts`, import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  })
  return outputFiles[0]!.text
}
