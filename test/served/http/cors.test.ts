/** The wrapping for pages of other origins, as docs/http-protocol.md shows it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { memory } from '../../../src/drivers/memory.ts'
import { createHandler } from '../../../src/served/http/index.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { withCors } from './cors.ts'
import { ENDPOINT, MEDIA_TYPE, authorize, post } from './support.ts'

const PAGE = 'https://app.example.com'
const READ = JSON.stringify({ version: 1, reads: [] })
const bare = createHandler(replay(memory()), { authorize })

const preflight = (origin: string): Request =>
  new Request(ENDPOINT, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  })

describe('pages of other origins', () => {
  it('are let in as the documentation says', () => {
    const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
    const tested = /const withCors =[^]*/.exec(read('./cors.ts'))![0]
    expect(read('../../../docs/http-protocol.md')).toContain(`\`\`\`ts\n${tested}\`\`\``)
  })

  it('are not let in by the handler alone', async () => {
    const answer = await bare(preflight(PAGE))
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([401, null])
  })

  it('are let in by the wrapping, where they are named', async () => {
    const handler = withCors(bare, new Set([PAGE]))
    const asked = await handler(preflight(PAGE))
    expect(asked.status).toBe(204)
    expect(Object.fromEntries(asked.headers)).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'authorization, content-type',
      vary: 'origin',
    })
    const answer = await handler(post(READ, { origin: PAGE }))
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, PAGE])
    expect([answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([MEDIA_TYPE, 'no-store'])
    expect(JSON.parse(await answer.text())).toMatchObject({ answers: [] })
  })

  it('that are not named, or have no credentials, stay outside', async () => {
    const handler = withCors(bare, new Set([PAGE]))
    const allowed = async (request: Request) => {
      const { status, headers } = await handler(request)
      return [status, headers.get('access-control-allow-origin')]
    }
    expect(await allowed(preflight('https://evil.example.com'))).toEqual([204, null])
    expect(await allowed(post(READ, { origin: 'https://evil.example.com' }))).toEqual([200, null])
    expect(await allowed(new Request(ENDPOINT, { headers: { origin: PAGE } }))).toEqual([401, PAGE])
    expect(await allowed(new Request(ENDPOINT, { method: 'OPTIONS', headers: { origin: PAGE } }))).toEqual([401, PAGE])
  })
})
