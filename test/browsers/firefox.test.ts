import { conformanceIn } from './conformance.ts'
import { FIREFOX } from './engines.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'

conformanceIn(FIREFOX)
modelIn(FIREFOX)
tabsIn(FIREFOX)
announcedIn(FIREFOX)
