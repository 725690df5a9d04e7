/** Hears of changes of a run. @module */
import { type Bell, bell } from '../core/bell.ts'
import { innerOf } from '../core/database.ts'
import { tenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { runRecords } from '../runs/record.ts'

/** Rings when a run may have changed. */
export interface Ear extends Pick<Bell, 'silence' | 'wait'> {
  /** Stops listening. */
  stop(): void
}

/** Listens for changes of a run, by this process and by others as far as the backend announces them. */
export function earFor(holdfast: Holdfast, runId: string): Ear {
  const db = innerOf(holdfast.db)
  const parts = tenantParts(holdfast.tenant)
  const part = parts.run(runId)
  const { ring, silence, wait } = bell()
  const unwatch = db.watch((it) => it === part, ring)
  const unlisten = runRecords(db, parts).listen(runId, ring)
  return {
    silence,
    wait,
    stop() {
      unwatch()
      unlisten()
    },
  }
}
