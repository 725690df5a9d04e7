/** What an answered write survives, by what was asked of the browser. */
import { POWER_LOSS, type Subject } from '../../subjects/subject.ts'

/** The browser hands the write to the system without a sync. */
const BROWSER_DEATH = 'the end of the browser'

export const BOTH: Subject['survives'] = { strict: POWER_LOSS, relaxed: BROWSER_DEATH }
/** Of who cannot ask for anything: both browsers take that for relaxed. */
export const RELAXED: Subject['survives'] = { relaxed: BROWSER_DEATH }
