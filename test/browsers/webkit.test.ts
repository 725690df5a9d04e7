import { conformanceIn } from './conformance.ts'
import { WEBKIT } from './engines.ts'
import { haltedIn } from './halted.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'
import { workflowsIn } from './workflows.ts'

conformanceIn(WEBKIT)
modelIn(WEBKIT)
tabsIn(WEBKIT)
announcedIn(WEBKIT)
workflowsIn(WEBKIT)
// It sends what is asked of it when the code of the page rests, and hears of a commit in the same way.
haltedIn(WEBKIT, { places: ['before it hears an answer'] })
