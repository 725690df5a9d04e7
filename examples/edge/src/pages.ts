/** The pages, for operators: plain HTML, no script. A browser asks for the token as a password. */
import { Hono } from 'hono'
import { basicAuth } from 'hono/basic-auth'
import { csrf } from 'hono/csrf'
import { HTTPException } from 'hono/http-exception'
import { secureHeaders } from 'hono/secure-headers'
import { ACTIONS, type Intake } from './intake.ts'
import { problemOf, requireId, requireStatus } from './requests.ts'
import { STYLE } from './style.ts'
import { deliveryView, listView, problemView } from './views.ts'

const OPERATOR = 'operator'

/** Creates the routes. */
export function createPages(intake: Intake, token: string): Hono {
  const pages = new Hono()
  pages.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        imgSrc: ['data:'],
        styleSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    }),
    basicAuth({ username: OPERATOR, password: token, realm: 'intake' }),
    csrf(),
  )
  pages.use(async (c, next) => {
    await next()
    c.header('cache-control', 'no-store')
  })
  pages.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse()
    const { status, message } = problemOf(error)
    return c.html(problemView(message), status)
  })

  pages.get('/style.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }))

  pages.get('/', async (c) => {
    const status = requireStatus(c.req.query('status'))
    return c.html(listView(await intake.list({ status, cursor: c.req.query('cursor') }), status))
  })

  pages.get('/deliveries/:id', async (c) => {
    return c.html(deliveryView(await intake.show(requireId(c.req.param('id')))))
  })

  for (const action of ACTIONS) {
    pages.post(`/deliveries/:id/${action}`, async (c) => {
      const id = requireId(c.req.param('id'))
      await intake.act(id, action, OPERATOR)
      return c.redirect(`/deliveries/${id}`, 303)
    })
  }

  pages.post('/deliveries/:id/skip/:subscriber', async (c) => {
    const id = requireId(c.req.param('id'))
    await intake.skip(id, c.req.param('subscriber'), OPERATOR)
    return c.redirect(`/deliveries/${id}`, 303)
  })

  return pages
}
