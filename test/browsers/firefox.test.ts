import { conformanceIn } from './conformance.ts'
import { FIREFOX } from './engines.ts'
import { tabsIn } from './tabs.ts'

conformanceIn(FIREFOX)
tabsIn(FIREFOX)
