import { conformanceIn } from './conformance.ts'
import { FIREFOX } from './engines.ts'
import { haltedIn } from './halted.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'
import { workflowsIn } from './workflows.ts'

conformanceIn(FIREFOX)
modelIn(FIREFOX)
tabsIn(FIREFOX)
announcedIn(FIREFOX)
workflowsIn(FIREFOX)
haltedIn(FIREFOX, { places: ['right after each transaction was begun', 'a moment later', 'before it hears an answer'] })
