import { conformanceIn } from './conformance.ts'
import { CHROMIUM } from './engines.ts'
import { tabsIn } from './tabs.ts'

conformanceIn(CHROMIUM)
tabsIn(CHROMIUM)
