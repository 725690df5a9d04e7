import { conformanceIn } from './conformance.ts'
import { CHROMIUM } from './engines.ts'
import { modelIn } from './model.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'

conformanceIn(CHROMIUM)
modelIn(CHROMIUM)
tabsIn(CHROMIUM)
announcedIn(CHROMIUM)
