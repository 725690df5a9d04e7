import type pg from 'pg'

/** A connection that dies is no news where the server, or the database, is ended on purpose. */
export const quiet = (pool: pg.Pool): pg.Pool =>
  pool.on('error', () => {}).on('connect', (client) => void client.on('error', () => {}))
