/** Refuses calls of a driver that is not open. @module */
import { HoldfastError } from '../../core/errors.ts'

/**
 * Requires that the driver is open.
 *
 * @param open - the connection, or whether there is one
 * @throws `CLOSED` if there is none
 */
export function requireOpen(open: unknown): asserts open {
  if (!open) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
}
