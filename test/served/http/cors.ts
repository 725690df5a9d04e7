import type { Handler } from '../../../src/served/http/index.ts'

/** The wrapping for pages of other origins, word for word as docs/http-protocol.md has it. */
export const withCors =
  (handler: Handler, origins: ReadonlySet<string>): Handler =>
  async (request) => {
    const origin = request.headers.get('origin')
    const isAsked = request.method === 'OPTIONS' && request.headers.has('access-control-request-method')
    const answer = isAsked ? new Response(null, { status: 204 }) : await handler(request)
    const response = new Response(answer.body, answer)
    response.headers.append('vary', 'origin')
    if (origin === null || !origins.has(origin)) return response
    response.headers.set('access-control-allow-origin', origin)
    if (isAsked) {
      response.headers.set('access-control-allow-methods', 'GET, POST')
      response.headers.set('access-control-allow-headers', 'authorization, content-type')
    } else response.headers.set('access-control-expose-headers', 'retry-after')
    return response
  }
