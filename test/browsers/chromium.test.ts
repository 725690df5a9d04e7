import { conformanceIn } from './conformance.ts'
import { CHROMIUM } from './engines.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'

conformanceIn(CHROMIUM)
tabsIn(CHROMIUM)
announcedIn(CHROMIUM)
