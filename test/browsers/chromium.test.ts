import { conformanceIn } from './conformance.ts'
import { CHROMIUM } from './engines.ts'

conformanceIn(CHROMIUM)
