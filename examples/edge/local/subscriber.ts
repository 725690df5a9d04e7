/** A subscriber to try things out with: every third request fails. */
import { createServer } from 'node:http'

const PORT = 8788
let requests = 0

createServer((request, response) => {
  request.resume()
  const fails = ++requests % 3 === 0
  console.log(`subscriber: ${request.headers['idempotency-key']} ${fails ? 'refused' : 'taken'}`)
  response.writeHead(fails ? 503 : 200).end()
}).listen(PORT, '127.0.0.1')
