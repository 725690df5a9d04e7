/** All inspections, the one that is looked at, and what can be done with it. @module */
import type { Holdfast } from 'holdfast'
import { render } from 'lit-html'
import { byId } from './dom.ts'
import { DECISION, type Decision, STAGES } from './inspection.ts'
import { coalesced } from './live.ts'
import { followLogs } from './logs.ts'
import { photoUrls } from './photos.ts'
import { type Actions, detail, runList, standing } from './templates.ts'
import { type InspectionView, readInspections } from './view.ts'

/** What the board needs. */
export interface BoardOptions {
  readonly holdfast: Holdfast
  /** Told of what goes wrong; of `undefined` when something new is tried. */
  onError(error: unknown): void
}

/** What is shown of inspections. */
export interface Board {
  /** Reads and shows what there is; to be called after changes. */
  show(): void
  /** Shows one inspection from now on. */
  select(runId: string): void
}

/** Brings the board to life. */
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
      // The button that has the focus goes away.
      byId('site', HTMLInputElement).focus()
    },
  }

  decision.addEventListener('submit', (event) => {
    event.preventDefault()
    if (selected === undefined) return
    const { verdict, by } = Object.fromEntries(new FormData(decision, event.submitter)) as unknown as Decision
    // Whoever decides second, here or in another tab, is refused.
    attempt(signals.sendMessage(selected, DECISION, { verdict, by }, { idempotencyKey: DECISION }))
    decision.reset()
  })

  return { show, select: actions.select }
}

/** What is worth being read out: not that it was tried once more. */
function changes(before: readonly InspectionView[], after: readonly InspectionView[]): string[] {
  const point = ({ done, hasEnded, isAwaitingDecision }: InspectionView): string =>
    `${done} ${hasEnded} ${isAwaitingDecision}`
  return after.flatMap((view) => {
    const old = before.find(({ runId }) => runId === view.runId)
    if (!old || point(old) === point(view)) return []
    return [`${view.inspection.site}: ${view.status}, ${view.done} of ${STAGES.length} steps done`]
  })
}
