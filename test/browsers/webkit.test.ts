import { conformanceIn } from './conformance.ts'
import { WEBKIT } from './engines.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'

conformanceIn(WEBKIT)
modelIn(WEBKIT)
tabsIn(WEBKIT)
announcedIn(WEBKIT)
