/** Findings of `doctor` that several kinds of store share. @module */
import type { Finding } from '../ops/health.ts'

/** Compares the schema version of a store with that of this release. */
export function schemaFinding(version: number, known: number): Finding {
  const found = `version ${version}, this release has ${known}`
  if (version === known) return { what: 'schema', level: 'ok', found }
  if (version > known) return { what: 'schema', level: 'failure', found, advice: 'Use a newer release of holdfast' }
  return {
    what: 'schema',
    level: 'warning',
    found,
    advice: 'Make a backup with the release that wrote it, then run any other command to migrate it',
  }
}
