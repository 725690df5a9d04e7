/** A subscriber for local tests. */
import { createServer } from 'node:http'

const PORT = 8788

/** Starts a server on 127.0.0.1 that refuses every third request. */
export function startSubscriber(): void {
  let requests = 0
  createServer((request, response) => {
    request.resume()
    const fails = ++requests % 3 === 0
    console.log(`subscriber: ${String(request.headers['idempotency-key'])} ${fails ? 'refused' : 'taken'}`)
    response.writeHead(fails ? 503 : 200).end()
  }).listen(PORT, '127.0.0.1')
}
