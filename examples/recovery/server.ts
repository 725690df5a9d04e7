/** The backend of the scenarios: an SQLite file, served over HTTP by its own process. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { sqlite } from 'holdfast/better-sqlite3'
import { createHandler } from 'holdfast/http'

const [path = '', port = '0'] = process.argv.slice(2)
const handler = createHandler(sqlite({ path, replayWindow: 120_000 }), { authorize: () => 'shop' })

const server = createServer(async (asked, answer) => {
  const headers = Object.entries(asked.headers).map(([name, value]): [string, string] => [name, String(value)])
  const { method = 'GET' } = asked
  const body = method === 'GET' ? {} : { body: new Uint8Array(await buffer(asked)) }
  const response = await handler(new Request('http://localhost/state', { method, headers, ...body }))
  answer.writeHead(response.status, Object.fromEntries(response.headers))
  answer.end(new Uint8Array(await response.arrayBuffer()))
})
server.listen(Number(port), '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
