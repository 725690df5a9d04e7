/** The page: opens the stores, works on inspections, shows them. @module */
import { createHoldfast } from 'holdfast'
import { indexedDb } from 'holdfast/indexeddb'
import { work } from 'holdfast/run'
import { render } from 'lit-html'
import { byId } from './dom.ts'
import { createDrafts } from './drafts.ts'
import { draftForm } from './form.ts'
import { DECISION, type Decision, STAGES, WORKFLOW, inspectionWorkflow } from './inspection.ts'
import { coalesced, live } from './live.ts'
import { type PhotoUrls, photoUrls } from './photos.ts'
import { showNetwork, showOfflineReady, storageDisplay } from './surroundings.ts'
import { type Actions, detail, runList, standing } from './templates.ts'
import { type InspectionView, readInspections } from './view.ts'

const NAME = 'holdfast-inspections'
/** A tab that is killed at work is followed by another one after so long. */
const LEASE = '10 s'

const tab = crypto.randomUUID().slice(0, 4).toUpperCase()
const idb = indexedDb({ name: NAME })
const { driver, onChange } = live(idb, NAME)
const holdfast = createHoldfast({ driver })
const { signals, workflows } = holdfast
const showStorage = storageDisplay(idb)
const shownPhotos: PhotoUrls = photoUrls(holdfast)
const decisionForm = byId('decision', HTMLFormElement)
const decisionFields = byId('decision-fields', HTMLFieldSetElement)
const news = byId('news', HTMLElement)
const trouble = byId('trouble', HTMLElement)

let selected: string | undefined
let views: InspectionView[] = []

const actions: Actions = {
  select(runId) {
    selected = runId
    refresh()
  },
  withdraw: (runId) => attempt(signals.storeSignal(runId, 'cancel')),
  remove(runId) {
    attempt(workflows.deleteRun(runId))
    // The button that has the focus goes away.
    byId('site', HTMLInputElement).focus()
  },
}

function attempt(call: Promise<unknown>): void {
  trouble.textContent = ''
  call.catch(tell)
}

function tell(error: unknown): void {
  trouble.textContent = error instanceof Error ? error.message : String(error)
}

const refresh = coalesced(async () => {
  try {
    const before = views
    views = await readInspections(holdfast)
    if (!views.some((view) => view.runId === selected)) selected = views[0]?.runId
    const view = views.find((it) => it.runId === selected)
    const urls = view ? await shownPhotos.of(view.runId, view.inspection.photos) : new Map<string, string>()
    render(runList(views, selected, actions), byId('runs', HTMLElement))
    render(standing(view), byId('standing', HTMLElement))
    render(detail(view, urls, actions), byId('detail', HTMLElement))
    decisionFields.disabled = view?.isAwaitingDecision !== true
    for (const line of changes(before, views)) news.textContent = line
    await refreshDraft()
    await showStorage()
  } catch (error) {
    tell(error)
  }
})

/** What is worth being read out. */
function changes(before: readonly InspectionView[], after: readonly InspectionView[]): string[] {
  return after.flatMap(({ runId, inspection, status, done }) => {
    const old = before.find((view) => view.runId === runId)
    if (!old || (old.status === status && old.done === done)) return []
    return [`${inspection.site}: ${status}, ${done} of ${STAGES.length} steps done`]
  })
}

decisionForm.addEventListener('submit', (event) => {
  event.preventDefault()
  if (selected === undefined) return
  const { verdict, by } = Object.fromEntries(new FormData(decisionForm, event.submitter)) as unknown as Decision
  // Whoever decides second, here or in another tab, is refused.
  attempt(signals.sendMessage(selected, DECISION, { verdict, by }, { idempotencyKey: DECISION }))
  decisionForm.reset()
})

byId('tab', HTMLElement).textContent = tab
showNetwork()
await holdfast.db.open()
const refreshDraft = await draftForm({
  drafts: createDrafts(holdfast),
  urls: photoUrls(holdfast),
  onStart: actions.select,
  onError: tell,
})
onChange(refresh)
refresh()
showOfflineReady().catch(tell)
await work(holdfast, {
  workflows: { [WORKFLOW]: inspectionWorkflow(holdfast, tab) },
  workerId: tab,
  lease: LEASE,
  concurrency: 2,
  signal: new AbortController().signal,
  onError: tell,
})
