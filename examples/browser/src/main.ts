/** The page: opens the stores, shows the inspections, and works on them. @module */
import { createHoldfast, isHoldfastError } from 'holdfast'
import { indexedDb } from 'holdfast/indexeddb'
import { work } from 'holdfast/run'
import { createBoard } from './board.ts'
import { byId } from './dom.ts'
import { createDrafts } from './drafts.ts'
import { draftForm } from './form.ts'
import { inspectionWorkflow } from './inspection.ts'
import { coalesced, onChange } from './live.ts'
import { photoUrls } from './photos.ts'
import { showNetwork, showOfflineReady, storageDisplay } from './surroundings.ts'

const NAME = 'holdfast-inspections'
/** The lease of a run: after this time, another tab takes over from a tab that was killed. */
const LEASE = '10 s'

async function begin(): Promise<void> {
  const tab = crypto.randomUUID().slice(0, 4).toUpperCase()
  byId('tab', HTMLElement).textContent = tab
  showNetwork()

  const driver = indexedDb({ name: NAME })
  const holdfast = createHoldfast({ driver })
  const board = createBoard({ holdfast, onError: tell })
  const showDraft = await draftForm({
    drafts: createDrafts(holdfast),
    urls: photoUrls(holdfast),
    onStart: board.select,
    onError: tell,
  })
  const showStorage = storageDisplay(driver)
  const showRest = coalesced(() => Promise.all([showDraft(), showStorage()]).catch(tell))
  const refresh = (): void => {
    board.show()
    showRest()
  }
  onChange(holdfast.db, refresh)
  refresh()
  showOfflineReady().catch(tell)

  await work(holdfast, [inspectionWorkflow(holdfast, tab)], {
    workerId: tab,
    lease: LEASE,
    // A run that waits long for the server must not delay the others.
    concurrency: 2,
    // The worker runs until the tab is closed.
    signal: new AbortController().signal,
    onError(error) {
      // The board shows the errors of steps and workflows. After a lost claim, another tab continues the run.
      if (isHoldfastError(error) && error.code !== 'CLAIM_LOST') tell(error)
    },
  })
}

/** Shows an error; `undefined` hides the last one. */
function tell(error: unknown): void {
  const text = error === undefined ? '' : 'Something went wrong'
  byId('trouble', HTMLElement).textContent = error instanceof Error ? error.message : text
}

begin().catch(tell)
