import { conformanceIn } from './conformance.ts'
import { WEBKIT } from './engines.ts'

conformanceIn(WEBKIT)
