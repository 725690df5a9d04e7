import { conformanceIn } from './conformance.ts'
import { FIREFOX } from './engines.ts'
import { tabsIn } from './tabs.ts'
import { announcedIn } from './watch.ts'

conformanceIn(FIREFOX)
tabsIn(FIREFOX)
announcedIn(FIREFOX)
