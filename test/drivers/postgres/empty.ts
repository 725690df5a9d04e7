/** How a database is made as new, apart from what only Node can import. */

/** The statement; a case may never have opened its database. */
export const EMPTY = `DO $$ BEGIN
  IF to_regclass('holdfast_entries') IS NOT NULL THEN
    TRUNCATE holdfast_entries, holdfast_requests, holdfast_long_parts, holdfast_locks;
  END IF;
END $$`
