/** Fencing tokens: the tokens of a run, or of a step, only grow, whatever happens to the run. @module */
import { type Along, cells } from '../../core/cells.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { EntryKey } from '../../core/driver.ts'
import { hasher } from '../../core/hash.ts'
import type { TenantParts } from '../../core/keys.ts'

/**
 * How long a fencing token is kept after the last claim, in milliseconds: 30 days. After that, the backend's clock is
 * ahead of it, and new tokens begin there.
 */
const TOKEN_TTL = 2_592_000_000

/** Makes the fencing tokens of a tenant's claims. */
export interface FencingTokens {
  /** Reads the last token along with a commit, so that the next claim knows it. */
  look(runId: string, stepId: string | undefined): Along
  /**
   * Makes the next token: one more than the last, or the time if that is greater.
   *
   * @param now - the backend's clock, in milliseconds since 1970
   * @returns the token, and the counter that belongs in the commit of the claim
   */
  next(runId: string, stepId: string | undefined, now: number): { readonly token: number; readonly counter: Along }
}

/** Makes the fencing tokens of a tenant. All claim stores over one database share them. */
export const fencingTokens = (db: InnerDatabase, parts: TenantParts): FencingTokens =>
  db.shared(`tokens of ${parts.runs}`, () => {
    const tokens = cells(db, (entry) => Number(entry.value))
    const at = (runId: string, stepId: string | undefined): EntryKey => ({
      part: parts.tokens,
      key: tokenKey(runId, stepId),
    })
    return {
      look: (runId, stepId) => tokens.along(at(runId, stepId), () => undefined),
      next(runId, stepId, now) {
        let token = now
        const counter = tokens.along(at(runId, stepId), (last = 0) => {
          token = Math.max(last + 1, now)
          return { value: String(token), holds: token, expires: { in: TOKEN_TTL } }
        })
        return { token, counter }
      },
    }
  })

/**
 * The key of a token. It is a hash, because tokens outlive their runs, and a deleted run must leave no name. If two
 * hashes collide, the two share a counter.
 */
function tokenKey(runId: string, stepId: string | undefined): string {
  const hash = hasher()
  hash.text(runId)
  hash.text(stepId ?? '')
  return hash.finish()
}
