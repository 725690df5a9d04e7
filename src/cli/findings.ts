/** What `doctor` says alike of several kinds of store. @module */
import type { Finding } from '../ops/health.ts'

/** Whether the schema of a store is what this release has. */
export function schemaFinding(version: number, known: number): Finding {
  const found = `version ${version}, this release has ${known}`
  if (version === known) return { what: 'schema', level: 'ok', found }
  if (version > known) return { what: 'schema', level: 'failure', found, advice: 'Use a newer release of holdfast' }
  return {
    what: 'schema',
    level: 'warning',
    found,
    advice: 'Make a backup with the release that wrote it, then run any other command to bring it up to date',
  }
}
