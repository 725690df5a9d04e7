/** The API, for senders and programs: `authorization: Bearer TOKEN`. */
import { Hono } from 'hono'
import { bearerAuth } from 'hono/bearer-auth'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { ACTIONS, type Intake } from './intake.ts'
import { problemOf, requireId, requireStatus, textOf } from './requests.ts'

/** The largest delivery, in bytes. */
export const MAX_BODY = 262_144

const BY = 'api'

/** Creates the routes. A request without the token is refused before anything else is read. */
export function createApi(intake: Intake, token: string): Hono {
  const api = new Hono()
  api.use(bearerAuth({ token, realm: 'intake' }))
  api.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    const { status, code, message } = problemOf(error)
    return c.json({ code, message }, status)
  })

  api.post('/deliveries', bodyLimit({ maxSize: MAX_BODY }), async (c) => {
    const id = requireId(c.req.header('webhook-id'))
    const contentType = c.req.header('content-type') ?? 'application/octet-stream'
    const { created, run } = await intake.accept(id, { body: textOf(await c.req.arrayBuffer()), contentType })
    return c.json({ id, status: run.status, duplicate: !created }, created ? 202 : 200, {
      location: `/api/deliveries/${id}`,
    })
  })

  api.get('/deliveries', async (c) => {
    const { items, cursor } = await intake.list({
      status: requireStatus(c.req.query('status')),
      cursor: c.req.query('cursor'),
    })
    return c.json({ items: items.map(({ runId, ...it }) => ({ id: runId, ...it })), cursor })
  })

  api.get('/deliveries/:id', async (c) => {
    const { run, delivery, trace, left, skipped } = await intake.show(requireId(c.req.param('id')))
    const { runId: id, status, createdAt, since, position, signals } = run
    return c.json({ id, status, createdAt, since, position, signals, left, skipped, delivery, ...trace })
  })

  for (const action of ACTIONS) {
    api.post(`/deliveries/:id/${action}`, async (c) => {
      await intake.act(requireId(c.req.param('id')), action, BY)
      return c.body(null, 204)
    })
  }

  api.post('/deliveries/:id/skip/:subscriber', async (c) => {
    await intake.skip(requireId(c.req.param('id')), c.req.param('subscriber'), BY)
    return c.body(null, 204)
  })

  api.all('*', (c) => c.json({ code: 'NOT_FOUND', message: 'There is nothing here' }, 404))

  return api
}
