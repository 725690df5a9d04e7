/** The list of inspections, the selected inspection, and its actions. @module */
import type { Holdfast } from 'holdfast'
import { render } from 'lit-html'
import { byId } from './dom.ts'
import { DECISION, type Decision, STAGES } from './inspection.ts'
import { coalesced } from './live.ts'
import { followLogs } from './logs.ts'
import { photoUrls } from './photos.ts'
import { type Actions, detail, runList, standing } from './templates.ts'
import { type InspectionView, readInspections } from './view.ts'

/** Options of the board. */
export interface BoardOptions {
  readonly holdfast: Holdfast
  /** Called with each error, and with `undefined` when a new action starts. */
  onError(error: unknown): void
}

/** The board of inspections. */
export interface Board {
  /** Reads and shows the inspections. Call it after changes. */
  show(): void
  /** Selects an inspection. */
  select(runId: string): void
}

/** Starts the board. */
export function createBoard({ holdfast, onError }: BoardOptions): Board {
  const { signals, workflows } = holdfast
  const urls = photoUrls(holdfast)
  const decision = byId('decision', HTMLFormElement)
  let selected: string | undefined
  let views: InspectionView[] = []

  async function update(): Promise<void> {
    const before = views
    views = await readInspections(holdfast, logs)
    if (!views.some((view) => view.runId === selected)) selected = views[0]?.runId
    const view = views.find(({ runId }) => runId === selected)
    const photos = view ? await urls.of(view.runId, view.inspection.photos) : new Map<string, string>()
    render(runList(views, selected, actions), byId('runs', HTMLElement))
    render(standing(view), byId('standing', HTMLElement))
    render(detail(view, photos, actions), byId('detail', HTMLElement))
    byId('decision-fields', HTMLFieldSetElement).disabled = view?.isAwaitingDecision !== true
    const lines = changes(before, views)
    if (lines.length > 0) byId('news', HTMLElement).textContent = lines.join('. ')
  }

  const show = coalesced(() => update().catch(onError))
  const logs = followLogs(holdfast.persistence, show, onError)

  function attempt(call: Promise<unknown>): void {
    onError(undefined)
    call.catch(onError)
  }

  const actions: Actions = {
    select(runId) {
      selected = runId
      show()
    },
    withdraw: (runId) => attempt(signals.storeSignal(runId, 'cancel')),
    remove(runId) {
      attempt(workflows.deleteRun(runId))
      // The focused button is about to be removed.
      byId('site', HTMLInputElement).focus()
    },
  }

  decision.addEventListener('submit', (event) => {
    event.preventDefault()
    if (selected === undefined) return
    const { verdict, by } = Object.fromEntries(new FormData(decision, event.submitter)) as unknown as Decision
    // A second decision, here or in another tab, is refused.
    attempt(signals.sendMessage(selected, DECISION, { verdict, by }, { idempotencyKey: DECISION }))
    decision.reset()
  })

  return { show, select: actions.select }
}

/** The news for screen readers. Retries are left out. */
function changes(before: readonly InspectionView[], after: readonly InspectionView[]): string[] {
  const point = ({ done, hasEnded, isAwaitingDecision }: InspectionView): string =>
    `${done} ${hasEnded} ${isAwaitingDecision}`
  return after.flatMap((view) => {
    const old = before.find(({ runId }) => runId === view.runId)
    if (!old || point(old) === point(view)) return []
    return [`${view.inspection.site}: ${view.status}, ${view.done} of ${STAGES.length} steps done`]
  })
}
