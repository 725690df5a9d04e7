import { conformanceIn } from './conformance.ts'
import { FIREFOX } from './engines.ts'

conformanceIn(FIREFOX)
