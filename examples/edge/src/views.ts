/** The HTML of the pages. `html` escapes every value. */
import { html } from 'hono/html'
import type { Page, RunEvent, RunStatus, RunSummary } from 'holdfast'
import { stepOf } from './delivery.ts'
import type { Action, Shown } from './intake.ts'
import { STATUSES } from './requests.ts'

type Html = ReturnType<typeof html>

/** The longest part of a body that is shown, in UTF-16 code units. */
const MOST_SHOWN = 20_000

const layout = (title: string, main: Html): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Webhook intake</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="data:," />
      </head>
      <body>
        <header><a href="/">Webhook intake</a></header>
        <main>${main}</main>
      </body>
    </html>`

/** The list of deliveries. */
export function listView({ items, cursor }: Page<RunSummary>, status: RunStatus | undefined): Html {
  const filter = (name: string, wanted: RunStatus | undefined): Html =>
    html`<li><a href="${linkTo(wanted)}" ${wanted === status ? html`aria-current="page"` : ''}>${name}</a></li>`
  const more = cursor && html`<p><a class="button" rel="next" href="${linkTo(status, cursor)}">Next page</a></p>`
  return layout(
    'Deliveries',
    html`
      <h1>Deliveries</h1>
      <nav aria-label="By status">
        <ul class="filters">
          ${filter('all', undefined)}${STATUSES.map((it) => filter(it, it))}
        </ul>
      </nav>
      ${items.length === 0 ? html`<p class="quiet">${status ? `None ${status}` : 'None yet'}</p>` : rows(items)}
      ${more ?? ''}
    `,
  )
}

const rows = (items: readonly RunSummary[]): Html => html`
  <ul class="rows deliveries">
    ${items.map(
      ({ runId, status, since }) =>
        html`<li><a href="/deliveries/${runId}">${runId}</a> ${badge(status)} <span>${time(since)}</span></li>`,
    )}
  </ul>
`

/** One delivery. */
export function deliveryView(shown: Shown): Html {
  const { run, delivery } = shown
  const { runId, status, createdAt, since, position } = run
  const wakeAt = position && 'wakeAt' in position ? position.wakeAt : undefined
  return layout(
    runId,
    html`
      <h1>${runId}</h1>
      <p class="standing">${badge(status)} <span>since ${time(since)}</span> ${wishes(shown)}</p>
      <div class="buttons">
        ${actionsFor(shown).map(([action, name]) => button(`/deliveries/${runId}/${action}`, name))}
        <a class="button" href="/deliveries/${runId}">Look again</a>
      </div>
      <h2>Subscribers</h2>
      <ul class="rows">
        ${delivery.subscribers.map((name) => html`<li><span>${name}</span> ${standing(shown, name)}</li>`)}
      </ul>
      <h2>Timeline</h2>
      <ol class="timeline">
        <li>${time(createdAt)} <span>Accepted</span></li>
        ${shown.trace.events.map((event) => html`<li class="${toneOf(event)}">${time(event.at)} <span>${tell(event)}</span></li>`)}
        ${status === 'waiting' && wakeAt !== undefined ? html`<li class="quiet">${time(wakeAt)} <span>Next attempt</span></li>` : ''}
      </ol>
      <h2>Body</h2>
      <p class="quiet">${delivery.contentType}</p>
      <pre tabindex="0" aria-label="Body">${delivery.body.slice(0, MOST_SHOWN)}</pre>
    `,
  )
}

/** The page of an error. */
export const problemView = (message: string): Html =>
  layout(
    'Problem',
    html`<h1>That did not work</h1>
      <p>${message}</p>
      <p><a class="button" href="/">All deliveries</a></p>`,
  )

const TONES: Partial<Record<RunStatus, string>> = {
  completed: 'good',
  cancelled: 'bad',
  waiting: 'wait',
  paused: 'wait',
}

const badge = (status: RunStatus): Html => html`<span class="badge ${TONES[status] ?? ''}">${status}</span>`

const time = (at: number): Html => {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`
}

const button = (action: string, name: string, label = name): Html =>
  html`<form method="post" action="${action}"><button aria-label="${label}">${name}</button></form>`

const linkTo = (status: RunStatus | undefined, cursor?: string): string => {
  const query = new URLSearchParams({ ...(status && { status }), ...(cursor && { cursor }) }).toString()
  return query === '' ? '/' : `/?${query}`
}

const hasEnded = (status: RunStatus): boolean => status === 'completed' || status === 'cancelled'

/** The actions that the current state allows. */
function actionsFor({ run: { status, position, signals } }: Shown): readonly (readonly [Action, string])[] {
  if (hasEnded(status) || signals?.cancel) return []
  const isStopped = status === 'paused' || signals?.pause !== undefined
  return [
    ...(position?.kind === 'wait' && position.names !== undefined && !isStopped
      ? [['again', 'Try again'] as const]
      : []),
    isStopped ? ['resume', 'Resume'] : ['pause', 'Pause'],
    ['cancel', 'Cancel'],
  ]
}

/** The request that has not taken effect yet. */
const wishes = ({ run: { signals } }: Shown): Html | string =>
  signals?.cancel
    ? html`<span class="wait">to be cancelled</span>`
    : signals?.pause
      ? html`<span class="wait">to be paused</span>`
      : ''

/** The state of a delivery for one subscriber. */
function standing({ run: { runId, status }, left, skipped }: Shown, name: string): Html {
  if (skipped.includes(name)) return html`<span>skipped</span>`
  if (!left.includes(name)) return html`<span class="good">has it</span>`
  if (hasEnded(status)) return html`<span class="bad">did not get it</span>`
  return html`<span class="wait">not yet</span> ${button(`/deliveries/${runId}/skip/${name}`, 'Skip', `Skip ${name}`)}`
}

const toneOf = ({ kind }: RunEvent): string =>
  kind.endsWith('.completed') ? 'good' : kind.endsWith('.failed') ? 'bad' : kind === 'step.retried' ? 'wait' : ''

/** An entry of the log, in words. */
function tell({ kind, stepId = '', payload }: RunEvent): string {
  const subscriber = stepId.slice(stepOf('').length).replace(/#\d+$/, '')
  const { attempt, error, retryAt, skippedBy } = Object(payload) as {
    readonly [K in 'attempt' | 'retryAt' | 'skippedBy']?: number | string
  } & { readonly error?: { readonly message: string } }
  switch (kind) {
    case 'step.completed':
      return skippedBy === undefined
        ? `${subscriber} took it, ${String(payload)}`
        : `${subscriber} was skipped by ${skippedBy}`
    case 'step.retried':
      return `${subscriber}, attempt ${attempt}: ${error?.message}; again at ${new Date(Number(retryAt)).toISOString().slice(11, 19)}`
    case 'step.failed':
      return `${subscriber} was given up: ${error?.message}`
    case 'message.awaited':
      return 'Waits for an operator'
    case 'message.received':
      return `To be tried again, says ${String((Object(payload) as { requestedBy?: string }).requestedBy)}`
    case 'intervention.taken':
      return `An operator has decided about ${subscriber}`
    case 'run.completed':
      return 'Done'
    default:
      return stepId === '' ? kind : `${kind} ${stepId}`
  }
}
