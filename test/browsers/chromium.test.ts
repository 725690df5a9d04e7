import { conformanceIn } from './conformance.ts'
import { CHROMIUM } from './engines.ts'
import { haltedIn } from './halted.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'
import { workflowsIn } from './workflows.ts'

conformanceIn(CHROMIUM)
modelIn(CHROMIUM)
tabsIn(CHROMIUM)
announcedIn(CHROMIUM)
workflowsIn(CHROMIUM)
haltedIn(CHROMIUM, {
  places: ['right after each transaction was begun', 'a moment later', 'before it hears an answer'],
  besides: ['long value'],
})
